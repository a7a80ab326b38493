// A device whose clock is wrong: times that are signed count from the exchange's clock, and the page says that the two differ.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene } from "./scene.js";

const scene = Scene.ofEachTest();
const HOUR_MS = 3_600_000;

// Sets the clock of the pages that this person opens from now on.
const setClock = async (person, difference) => {
  await person.context.addInitScript((difference) => {
    const Right = Date;
    globalThis.Date = class extends Right {
      constructor(...of) {
        super(...(of.length === 0 ? [Right.now() + difference] : of));
      }
      static now() {
        return Right.now() + difference;
      }
    };
  }, difference);
  await person.page.reload();
  await person.page.getByText("Live · batch").waitFor();
  const shown = await person.page.evaluate(() => Date.now());
  assert.ok(Math.abs(shown - difference - Date.now()) < 10_000, "the page sees the wrong clock");
};

// Whole seconds, rounded up, and the time that the test takes.
const isAfter = (text, field, length) => {
  const found = Number(new RegExp(`\n${field}: (\\d+)`).exec(text)[1]);
  const late = Date.now() + length - found;
  assert.ok(late > -2000 && late < 60_000, `${field} is ${late} ms off: ${text}`);
  return found;
};

const warning = (person) => person.page.getByText(/This device's clock is .* the exchange's\./);

for (const [name, difference, says] of [
  ["two hours behind", -2 * HOUR_MS, /clock is 2 hours behind the exchange's\./],
  ["two hours ahead", 2 * HOUR_MS, /clock is 2 hours ahead of the exchange's\./],
  ["three days ahead", 72 * HOUR_MS, /clock is 3 days ahead of the exchange's\./],
]) {
  test(`a clock that is ${name} is told, and moves no time that is signed`, async () => {
    const alice = await scene.arrive();
    const { page } = alice;
    await setClock(alice, difference);
    await alice.createWallet();
    await alice.getTokens();

    const form = await alice.fill("Buy", "1", "1990");
    await form.getByLabel("Time in force").selectOption("gtd");
    await form.getByLabel("Expires").selectOption({ label: "In 8 hours" });
    await form.locator("button[type=submit]").click();
    await alice.sheet.getByRole("alert").filter({ hasText: says }).waitFor();
    const text = await alice.sign();
    isAfter(text, "valid_until", HOUR_MS);
    isAfter(text, "nonce", 0);
    const expires = isAfter(text, "expires", 8 * HOUR_MS);
    await alice.outcome("applied");
    const account = () => scene.exchange.get(`/v1/accounts/${alice.account}`);
    assert.equal((await account()).open_orders[0].expires_ms, String(expires));

    await alice.tab("Open orders (1)");
    await page.getByLabel("After").selectOption({ label: "10 min" });
    await page.getByRole("button", { name: "Turn on" }).click();
    await alice.sheet.getByLabel("Valid for").selectOption({ label: "1 minute" });
    const on = await alice.sign();
    isAfter(on, "valid_until", 60_000);
    const time = isAfter(on, "time", 600_000);
    await alice.outcome("applied");
    assert.equal((await account()).switch_ms, String(time));
    // The countdown too.
    await alice.tab("Open orders (1)");
    await page.getByRole("timer").getByText(/^(10:00|9:\d\d)$/).waitFor();

    await alice.tab("Trading keys");
    await page.getByLabel("Expires after").selectOption({ label: "1 day" });
    await page.locator("form.trading-key").getByRole("button", { name: "Create trading key" }).click();
    isAfter(await alice.sign(), "expires", 24 * HOUR_MS);
    await alice.outcome("applied");
    await alice.tab("Trading keys");
    await page.getByRole("cell", { name: "this browser" }).waitFor();

    // A trading key signs without a sheet, so the banner says it.
    await warning(alice).waitFor({ state: "hidden" });
    await alice.fill("Buy", "0.1", "1300");
    await form.getByLabel("Time in force").selectOption("gtc");
    await form.locator("button[type=submit]").click();
    await alice.outcome("applied");
    await page.locator(".banner").getByText(says).waitFor();
    const [newest] = (await alice.stored("sent")).map((text) => JSON.parse(text)).filter(({ text }) => text.includes("price: 1300"));
    assert.match(newest.text, /\nsigner: /);
    isAfter(newest.text, "valid_until", HOUR_MS);
  });
}

test("a clock that differs by less than a minute is not mentioned", async () => {
  const alice = await scene.arrive();
  await setClock(alice, 40_000);
  await alice.createWallet();
  await alice.getTokens();
  const form = await alice.fill("Buy", "1", "1990");
  await form.locator("button[type=submit]").click();
  await alice.sheet.locator("pre").waitFor();
  assert.equal(await warning(alice).count(), 0, "a sheet that is open says it at once");
  isAfter(await alice.sign(), "valid_until", HOUR_MS);
  await alice.outcome("applied");
});
