// A newcomer's way from an empty browser to the first trade, and an estimate of the time it takes a person.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCount, NARROW, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { Trader } from "./trader.js";

// The keystroke-level model (Card, Moran and Newell, 1980), in milliseconds: pointing and clicking, one key press of an
// average typist, and the decision before each step.
const POINT_MS = 1100;
const KEY_MS = 280;
const MIND_MS = 1350;
// Scrolling to something out of sight takes about as long as pointing.
const SCROLL_MS = POINT_MS;
// Writing one word of the phrase and its number by hand, at 22 words per minute.
const WRITE_MS = 2700;
const BUDGET_MS = 60_000;

// A person who does one thing at a time, each with its estimated duration.
class Newcomer {
  steps = [];
  began = Date.now();

  constructor({ page }) {
    this.page = page;
  }

  // Something out of sight must be scrolled to.
  async see(place) {
    await place.waitFor();
    const { y, height } = await place.boundingBox();
    const isInSight = y >= 0 && y + height <= this.page.viewportSize().height;
    if (!isInSight) this.steps.push(["scroll", SCROLL_MS]);
  }

  async click(place) {
    await this.see(place);
    this.steps.push([`click ${(await place.innerText()).trim()}`, MIND_MS + POINT_MS]);
    await place.click();
  }

  // Types into the field that the page has already focused, and presses Enter.
  async type(place, text) {
    await this.page.waitForFunction((element) => document.activeElement === element, await place.elementHandle());
    this.steps.push([`type ${text.length} characters`, MIND_MS + (text.length + 1) * KEY_MS]);
    await this.page.keyboard.type(text);
    await this.page.keyboard.press("Enter");
  }

  get total() {
    return this.steps.reduce((sum, [, milliseconds]) => sum + milliseconds, 0);
  }

  report(context, title) {
    const machine = Date.now() - this.began;
    context.diagnostic(`${title}: ${this.steps.length} steps, ${this.total} ms by the model; the machine took ${machine} ms`);
    for (const [what, milliseconds] of this.steps) context.diagnostic(`  ${what}: ${milliseconds} ms`);
  }
}

let maker;
const scene = Scene.ofEachTest({
  prepare: async ({ exchange }) => {
    maker = await Trader.arrive(exchange);
    await maker.execute(maker.order("sell", 5, 2000));
  },
});

for (const [name, viewport] of [["1440", WIDE], ["360", NARROW]]) {
  test(`at ${name} px the first trade takes less than a minute, and the page reminds of the phrase until it is written down`, async (context) => {
    const alice = await scene.arrive({ viewport });
    const { dialog, page, sheet } = alice;
    const newcomer = new Newcomer(alice);
    await newcomer.click(page.locator("button.wallet"));
    await newcomer.type(dialog.locator("#new-passphrase"), "correct horse battery");
    await newcomer.click(dialog.getByRole("button", { name: "Remind me later" }));
    const welcome = page.locator(".welcome");
    await newcomer.click(welcome.getByRole("button", { name: "Get test tokens" }));
    await newcomer.click(welcome.getByRole("button", { name: "Suggest an order" }));
    // The suggested order fills immediately: at the best ask, for a hundredth of the balance.
    const form = page.locator("#order-form");
    await form.getByText("Fills now").waitFor();
    const button = form.locator("button[type=submit]");
    assert.equal((await button.innerText()).trim(), "Buy 0.25 ETH at 2,000");
    await newcomer.click(button);
    await newcomer.click(sheet.getByRole("button", { name: "Sign and send" }));
    await alice.outcome("applied");
    newcomer.report(context, "first trade");
    assert.ok(newcomer.total < BUDGET_MS, `${newcomer.total} ms`);
    const { account } = JSON.parse((await alice.stored("sent")).find((sent) => sent.includes("kind: order"))).json.match(/"account":"(?<account>\w+)"/).groups;
    assert.equal((await scene.exchange.get(`/v1/accounts/${account}`)).fills.length, 1);

    // All steps but the phrase are done: header and balances show a reminder until it is written down.
    await alice.tab("Balances");
    await hasCount(welcome, 0);
    await page.getByRole("button", { name: ", not backed up" }).waitFor();
    const reminder = page.locator(".tab-body .reminder");
    await reminder.getByText("Not backed up").waitFor();
    await page.reload();
    await reminder.getByRole("button", { name: "Back up now" }).click();
    await dialog.locator("#unlock-passphrase").fill("correct horse battery");
    await dialog.getByRole("button", { name: "Unlock" }).click();
    await dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
    await dialog.getByRole("button", { name: "Show recovery phrase" }).click();
    await dialog.locator("#reveal-passphrase").fill("correct horse battery");
    await dialog.getByRole("button", { name: "Reveal" }).click();
    await alice.writeDown();
    await alice.closeWallet();
    await hasCount(reminder, 0);
    await hasCount(page.getByText(", not backed up"), 0);
  });
}

test("backing up the phrase first adds little time on the page compared with writing by hand", async (context) => {
  const alice = await scene.arrive();
  const { dialog, page } = alice;
  const newcomer = new Newcomer(alice);
  await newcomer.click(page.locator("button.wallet"));
  await newcomer.type(dialog.locator("#new-passphrase"), "correct horse battery");
  await dialog.locator(".phrase li").nth(11).waitFor();
  const words = await dialog.locator(".phrase li").allTextContents();
  await newcomer.click(dialog.getByRole("button", { name: "I've written them down" }));
  const fields = await dialog.locator(".words .field").all();
  for (const [index, field] of fields.entries()) {
    const number = Number(/Word (\d+)/.exec(await field.locator("label").textContent())[1]);
    const word = words[number - 1];
    const isLast = index === fields.length - 1;
    await page.waitForFunction((element) => document.activeElement === element, await field.locator("input").elementHandle());
    newcomer.steps.push([`type a word of ${word.length} letters`, MIND_MS + (word.length + 1) * KEY_MS]);
    await page.keyboard.type(word);
    await page.keyboard.press(isLast ? "Enter" : "Tab");
  }
  await dialog.locator(".key").waitFor();
  await newcomer.click(dialog.getByRole("button", { name: "Close" }));
  newcomer.report(context, "a key with its phrase checked");
  context.diagnostic(`  and by hand, 12 words: ${12 * WRITE_MS} ms`);
  assert.ok(newcomer.total < BUDGET_MS / 2, `${newcomer.total} ms`);
  await hasCount(page.getByText(", not backed up"), 0);
});

test("without asks the suggestion leads to the empty form, and works again after the first ask", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await maker.execute(maker.sign("cancel_all", {}));
  await alice.createWallet();
  const welcome = page.locator(".welcome");
  await welcome.getByRole("button", { name: "Get test tokens" }).click();
  await welcome.getByRole("button", { name: "Suggest an order" }).click();
  await page.waitForFunction(() => document.activeElement.id === "field-price");
  assert.equal(await page.locator("#field-price").inputValue(), "");
  await maker.execute(maker.order("sell", 1, 2100));
  await page.locator(".book .asks .price").filter({ hasText: "2,100" }).waitFor();
  await welcome.getByRole("button", { name: "Suggest an order" }).click();
  await page.waitForFunction(() => document.querySelector("#field-price").value === "2100");
});
