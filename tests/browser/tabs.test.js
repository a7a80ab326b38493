// One wallet in several tabs: creating it, changes from other tabs, and locking all of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCount, PASSPHRASE, Person } from "./exchange.js";
import { Scene } from "./scene.js";

const scene = Scene.ofFile();

// Clicks the button in all tabs at the same time. A script clicks, because the browser draws only the front tab.
const press = (tabs, name) => Promise.all(tabs.map(({ dialog }) => dialog.getByRole("button", { name, exact: true }).evaluate((button) => button.click())));

test("tabs share one wallet: accounts added in one appear in the other, and locking and removing affect both", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  const second = await alice.tabAt(scene.exchange.url);
  // Both tabs show the form that creates a wallet. Once the first creates one, the second must unlock it.
  await second.openWallet();
  await second.dialog.locator("#new-passphrase").fill(PASSPHRASE);
  await alice.createWallet();
  await second.dialog.locator("#unlock-passphrase").fill(PASSPHRASE);
  await second.dialog.getByRole("button", { name: "Unlock" }).click();
  await second.dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
  await second.dialog.getByRole("button", { name: "Close" }).click();
  assert.equal((await alice.stored("records")).length, 2);

  await alice.openWallet();
  await alice.dialog.getByRole("button", { name: "Add account" }).click();
  await alice.dialog.getByRole("radio", { name: "Account 2" }).waitFor();
  await second.openWallet();
  await second.dialog.getByRole("radio", { name: "Account 2" }).waitFor();
  await second.dialog.getByRole("button", { name: "Lock", exact: true }).click();
  await alice.dialog.locator("#unlock-passphrase").waitFor();
  await second.dialog.getByRole("button", { name: "Close" }).click();
  await alice.closeWallet();
  await page.getByRole("button", { name: "locked" }).waitFor();

  await alice.openWallet();
  await alice.dialog.getByRole("button", { name: "Remove from this browser" }).click();
  await alice.dialog.getByRole("button", { name: "Remove all accounts" }).click();
  await second.page.getByRole("button", { name: "Create wallet" }).first().waitFor();
});

test("of two tabs that create a wallet at the same time, one succeeds, and the other reports it and uses that wallet", async () => {
  // Several rounds, because either tab can be first.
  for (let round = 0; round < 4; round += 1) {
    const alice = await scene.arrive();
    const tabs = [alice, await alice.tabAt(scene.exchange.url)];
    const passphrases = ["battery of the first tab", "battery of the second tab"];
    for (const [index, tab] of tabs.entries()) {
      await tab.openWallet();
      await tab.dialog.locator("#new-passphrase").fill(passphrases[index]);
    }
    if (round % 2) tabs.reverse(), passphrases.reverse();
    await press(tabs, "Create wallet");
    await Promise.all(tabs.map(({ dialog }) => dialog.locator(".phrase li:nth-child(12), #unlock-passphrase").waitFor()));
    const has = await Promise.all(tabs.map(({ dialog }) => dialog.locator(".phrase").count()));
    assert.deepEqual([...has].sort(), [0, 1], "one tab shows a phrase");
    const [first, second] = has[0] ? tabs : [...tabs].reverse();
    const passphrase = passphrases[tabs.indexOf(first)];
    await second.dialog.getByText("Another tab created or changed the wallet in the meantime.").waitFor();

    // The stored wallet is completely the first tab's: its phrase, its account, and "not backed up".
    const records = (await alice.stored("records")).map((text) => JSON.parse(text));
    const kind = ({ origin }) => (typeof origin === "string" ? origin : Object.keys(origin)[0]);
    assert.deepEqual(records.map(kind).sort(), ["Derived", "Phrase"]);
    const words = await first.dialog.locator(".phrase li").allTextContents();
    await first.page.bringToFront();
    await first.dialog.getByRole("button", { name: "Remind me later" }).click();
    await second.page.bringToFront();
    await second.dialog.locator("#unlock-passphrase").fill(passphrase);
    await second.dialog.getByRole("button", { name: "Unlock" }).click();
    await second.dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
    for (const { page } of tabs) await page.getByRole("button", { name: ", not backed up" }).waitFor({ state: "attached" });
    const account = (await second.dialog.locator(".key").textContent()).trim();
    assert.ok(records.some(({ key }) => key === account));
    const elsewhere = await scene.arrive();
    await elsewhere.importKey(words.join(" "));
    assert.equal(elsewhere.account, account);
  }
});

test("when two tabs import a first key at the same time, no key is lost", async () => {
  const alice = await scene.arrive();
  const tabs = [alice, await alice.tabAt(scene.exchange.url)];
  const keys = ["11".repeat(32), "22".repeat(32)];
  for (const [index, { dialog }] of tabs.entries()) {
    await tabs[index].openWallet();
    await dialog.getByText("Import private key, recovery phrase or file").click();
    await dialog.locator("#import-text").fill(keys[index]);
    await dialog.locator("#import-passphrase").fill(PASSPHRASE);
  }
  await press(tabs, "Import");
  await Promise.all(tabs.map(({ dialog }) => dialog.locator(".key, #unlock-passphrase").first().waitFor()));
  const has = await Promise.all(tabs.map(({ dialog }) => dialog.locator("#unlock-passphrase").count()));
  assert.deepEqual([...has].sort(), [0, 1], "one tab was faster");
  const second = has[0] ? tabs[0] : tabs[1];
  await second.dialog.getByText("Nothing was overwritten.").waitFor();
  await second.page.bringToFront();
  await second.dialog.locator("#unlock-passphrase").fill(PASSPHRASE);
  await second.dialog.getByRole("button", { name: "Unlock" }).click();
  await second.dialog.getByText("Import private key, recovery phrase or file").click();
  await second.dialog.locator("#import-text").fill(keys[tabs.indexOf(second)]);
  await second.dialog.getByRole("button", { name: "Import", exact: true }).click();
  for (const { dialog } of tabs) await hasCount(dialog.getByRole("radio"), 2);
  assert.equal((await alice.stored("records")).length, 2);
});

test("the wallet locks by itself when no tab is in use", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await page.clock.install();
  await page.reload();
  await alice.createWallet();
  const dialog = await alice.openWallet();
  await dialog.getByText("Auto-lock and passphrase").click();
  await dialog.getByRole("combobox", { name: "Auto-lock" }).selectOption("5");
  await alice.closeWallet();
  await page.clock.fastForward("04:30");
  await page.clock.runFor(6000);
  await page.keyboard.press("Shift");
  await page.clock.fastForward("04:30");
  await page.clock.runFor(6000);
  assert.equal(await page.getByRole("button", { name: "locked" }).count(), 0);
  await page.clock.fastForward("01:00");
  await page.clock.runFor(6000);
  await page.getByRole("button", { name: "locked" }).waitFor();
});

test("no nonce is used twice, even by two tabs or after the clock was set back", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await alice.createWallet();
  await alice.getTokens();
  const second = await alice.context.newPage();
  await second.clock.install({ time: Date.now() - 86_400_000 });
  await second.goto(scene.exchange.url);
  await Object.assign(new Person(), { page: second }).unlock();
  const texts = [];
  for (const [tab, price] of [[page, "1801"], [second, "1802"], [page, "1803"], [second, "1804"]]) {
    const person = Object.assign(new Person(), { page: tab, isNarrow: false });
    await person.fill("Buy", "0.1", price);
    await tab.locator("#order-form button[type=submit]").click();
    texts.push(await person.sheet.locator("pre").textContent());
    await tab.keyboard.press("Escape");
    await person.sheet.waitFor({ state: "hidden" });
  }
  const nonces = texts.map((text) => Number(/\nnonce: (\d+)/.exec(text)[1]));
  assert.deepEqual([...nonces].sort((a, b) => a - b), nonces);
  assert.equal(new Set(nonces).size, 4);
});
