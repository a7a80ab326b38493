// Keys in trouble: a worker that does not load, a full storage, keys that are removed or imported twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCount, PASSPHRASE } from "./exchange.js";
import { Scene } from "./scene.js";

// The phrase and the first key that Hardhat and Foundry publish for their test networks.
const PHRASE = "test test test test test test test test test test test junk";
const FIRST_KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const OTHER_KEY = "11".repeat(32);

const scene = Scene.ofFile();
const importing = async ({ dialog }, text) => {
  const details = dialog.locator("details").filter({ hasText: "Import private key" });
  if (!(await details.evaluate((element) => element.open))) await details.locator("summary").click();
  await dialog.locator("#import-text").fill(text);
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
};

test("a vault whose script does not load is reported, and the next attempt succeeds", async () => {
  const alice = await scene.arrive();
  const { page, dialog } = alice;
  const path = await page.locator("meta[name=vault-worker]").getAttribute("content");
  let asked = 0;
  // The page first fetches the script to check it, and then the browser loads it for the worker.
  await page.route(`**${path.replace(/^\.?/, "")}`, (route) => {
    asked += 1;
    return asked === 2 ? route.abort() : route.continue();
  });
  await alice.openWallet();
  await dialog.locator("#new-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Create wallet" }).click();
  await dialog.getByText("The wallet code could not be loaded.").waitFor();
  assert.equal(asked, 2);
  await dialog.getByRole("button", { name: "Create wallet" }).click();
  await dialog.locator(".phrase li").nth(11).waitFor();
  // Chromium logs the script that could not be loaded.
  alice.consoleErrors.length = 0;
});

test("a full storage is named as such, and creates no wallet", async () => {
  const alice = await scene.arrive();
  const { page, dialog } = alice;
  const session = await alice.context.newCDPSession(page);
  const { origin } = new URL(scene.exchange.url);
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
  await alice.openWallet();
  await dialog.locator("#new-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Create wallet" }).click();
  await dialog.getByText("Allow site data or free some space").waitFor();
  await session.send("Storage.overrideQuotaForOrigin", { origin });
  await dialog.getByRole("button", { name: "Create wallet" }).click();
  await dialog.locator(".phrase li").nth(11).waitFor();
});

test("a phrase whose first account was imported before is stored, and gives further accounts", async () => {
  const alice = await scene.arrive();
  const { page, dialog } = alice;
  await alice.importKey(FIRST_KEY);
  const first = alice.account;
  await alice.openWallet();
  await importing(alice, PHRASE);
  await dialog.getByRole("button", { name: "Add account" }).click();
  await dialog.getByRole("radio", { name: /^Account 2/ }).waitFor();
  await page.reload();
  await alice.unlock();
  await alice.openWallet();
  await hasCount(dialog.getByRole("radio"), 2);
  await dialog.getByRole("radio", { name: /^Imported key/ }).check();
  await dialog.locator(".key").filter({ hasText: first }).waitFor();
  await dialog.getByRole("button", { name: "Show recovery phrase" }).click();
  await dialog.locator("#reveal-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Reveal" }).click();
  await hasCount(dialog.locator(".phrase li"), 12);
});

test("an account that was removed from an unlocked wallet can be imported again", async () => {
  const alice = await scene.arrive();
  const { dialog } = alice;
  await alice.importKey(FIRST_KEY);
  await alice.openWallet();
  for (let round = 0; round < 2; round += 1) {
    await importing(alice, OTHER_KEY);
    await hasCount(dialog.getByRole("radio"), 2);
    if (round > 0) break;
    await dialog.getByRole("button", { name: "Remove from this browser" }).click();
    await dialog.getByRole("button", { name: "Remove this account" }).click();
    await hasCount(dialog.getByRole("radio"), 0);
  }
});

test("what a removed wallet sent is not shown to the next one", async () => {
  const alice = await scene.trader();
  const { page, dialog } = alice;
  await alice.order("Buy", "1", "1500");
  await alice.outcome("applied");
  await alice.openWallet();
  await dialog.getByRole("button", { name: "Remove from this browser" }).click();
  await dialog.getByRole("button", { name: "Remove wallet" }).click();
  await dialog.locator("#new-passphrase").waitFor();
  await alice.closeWallet();
  await alice.createWallet();
  await alice.tab("Activity");
  await page.getByText("Transactions you sign appear here").waitFor();
  await page.reload();
  await alice.tab("Activity");
  await page.getByText("Transactions you sign appear here").waitFor();
  assert.deepEqual(await alice.stored("sent"), []);
});
