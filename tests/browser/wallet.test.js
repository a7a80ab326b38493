// Wallets as people use them: created, backed up, unlocked, moved to another browser, and signing.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { hasCount, lines, NARROW, PASSPHRASE, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";

// The phrase and keys that Hardhat and Foundry publish for their test networks.
const PHRASE = "test test test test test test test test test test test junk";
const FIRST_KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const FIRST_ACCOUNT = "038318535b54105d4a7aae60c08fc45f9687181b4fdfc625bd1a753fa7397fed75";
const SECOND_ACCOUNT = "02ba5734d8f7091719471e7f7ed6b9df170dc70cc661ca05e688601ad984f068b0";

const scene = Scene.ofFile();

for (const [name, viewport, colorScheme] of [["360", NARROW, "dark"], ["1440", WIDE, "light"]]) {
  test(`at ${name} px a newcomer creates a wallet, writes down the phrase and reaches the first order`, async () => {
    const alice = await scene.arrive({ viewport, colorScheme });
    const { page } = alice;
    await alice.tab("Balances");
    const steps = page.locator(".welcome li");
    await hasCount(steps.filter({ has: page.locator("button") }), 1);
    await steps.first().getByRole("button", { name: "Create wallet" }).click();
    const dialog = alice.dialog;
    await dialog.locator("#new-passphrase").fill("short");
    await dialog.getByRole("button", { name: "Create wallet" }).click();
    await dialog.getByRole("alert").filter({ hasText: "at least 8 characters." }).waitFor();
    await dialog.locator("#new-passphrase").fill(PASSPHRASE);
    await dialog.getByRole("button", { name: "Create wallet" }).click();
    await dialog.locator(".phrase li").nth(11).waitFor();
    assert.equal(await dialog.locator(".phrase li").count(), 12);
    const shown = await dialog.locator(".phrase li").allTextContents();

    // The page names the wrong word, and the backup does not count as done.
    await dialog.getByRole("button", { name: "I've written them down" }).click();
    const first = dialog.locator(".words .field").first();
    const number = Number(/\d+/.exec(await first.locator("label").textContent())[0]);
    for (const input of await dialog.locator(".words input").all()) await input.fill("zebra");
    await dialog.getByRole("button", { name: "Confirm" }).click();
    await dialog.getByText(`Word ${number} is wrong.`).waitFor();
    await dialog.getByRole("button", { name: "Show the words again" }).click();
    assert.deepEqual(await alice.writeDown(), shown);
    assert.equal(await page.getByText(shown.join(" ")).count(), 0);
    await hasCount(dialog.locator(".reminder"), 0);
    await alice.closeWallet();

    await page.locator(".welcome").getByRole("button", { name: "Get test tokens" }).click();
    await page.locator(".welcome").getByRole("button", { name: "Suggest an order" }).waitFor();
    await hasCount(page.locator(".welcome li.done"), 3);
  });
}

test("postponing the backup shows a reminder until the words are confirmed", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  let dialog = await alice.openWallet();
  await dialog.locator("#new-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Create wallet" }).click();
  const words = await dialog.locator(".phrase li").nth(11).waitFor().then(() => dialog.locator(".phrase li").allTextContents());
  await dialog.getByRole("button", { name: "Remind me later" }).click();
  await dialog.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: ", not backed up" }).waitFor();
  await page.reload();
  await alice.unlock();
  dialog = await alice.openWallet();
  await dialog.locator(".reminder").waitFor();
  await dialog.getByRole("button", { name: "Show recovery phrase" }).click();
  await dialog.locator("#reveal-passphrase").fill("not this one");
  await dialog.getByRole("button", { name: "Reveal" }).click();
  await dialog.getByText("Wrong passphrase.").waitFor();
  assert.equal(await dialog.locator(".phrase").count(), 0);
  await dialog.locator("#reveal-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Reveal" }).click();
  assert.deepEqual(await alice.writeDown(), words);
  await dialog.locator(".reminder").waitFor({ state: "detached" });
  await page.getByText(", not backed up").waitFor({ state: "detached" });
});

test("a phrase gives the same accounts as in Ethereum wallets, and its errors are named", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  const dialog = await alice.openWallet();
  await dialog.getByText("Import private key, recovery phrase or file").click();
  const refused = async (text, message) => {
    await dialog.locator("#import-text").fill(text);
    await dialog.locator("#import-passphrase").fill(PASSPHRASE);
    await dialog.getByRole("button", { name: "Import", exact: true }).click();
    await dialog.getByText(message).waitFor();
  };
  await refused(PHRASE.replace("junk", "junkk"), "Word 12, “junkk”, is not in the word list.");
  await refused(PHRASE.replace("junk", "test"), "All words are in the word list, but their checksum is wrong.");
  await refused("test test", "this one has 2.");
  await refused("11", "A private key has 64 hex digits");
  await refused("{}", "This is not an exported Zellbook wallet.");
  assert.deepEqual(await alice.stored("records"), []);
  await page.keyboard.press("Escape");
  await alice.importKey(PHRASE.toUpperCase());
  assert.equal(alice.account, FIRST_ACCOUNT);

  // Adds and selects the second account of the phrase, then selects the first one again.
  await alice.openWallet();
  await dialog.getByRole("button", { name: "Add account" }).click();
  await dialog.getByRole("radio", { name: "Account 2" }).waitFor();
  assert.equal(await dialog.getByRole("radio", { name: "Account 2" }).isChecked(), true);
  assert.equal((await dialog.locator(".key").textContent()).trim(), SECOND_ACCOUNT);
  await dialog.getByRole("radio", { name: "Account 1" }).check();
  await dialog.locator(".key").filter({ hasText: FIRST_ACCOUNT }).waitFor();

  // Importing the same phrase again is refused, another key is added, and the private key needs the passphrase.
  await dialog.getByText("Import private key, recovery phrase or file").click();
  await dialog.locator("#import-text").fill(PHRASE);
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await dialog.getByText("This wallet already has this key.").waitFor();
  await dialog.getByRole("button", { name: "Show private key" }).click();
  await dialog.locator("#reveal-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Reveal" }).click();
  await dialog.locator(".secret").filter({ hasText: FIRST_KEY }).waitFor();
  await dialog.getByRole("button", { name: "Hide" }).click();
  await dialog.locator(".secret").waitFor({ state: "detached" });
  await dialog.locator("#import-text").fill("11".repeat(32));
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await dialog.getByRole("radio", { name: "Imported key" }).waitFor();
  await alice.closeWallet();

  // No secret is stored unencrypted.
  const stored = JSON.stringify([await alice.stored("records"), await alice.stored("wallet"), await page.evaluate(() => ({ ...localStorage }))]);
  assert.match(stored, /ciphertext/);
  for (const secret of [FIRST_KEY, "11".repeat(32), "test test", "junk"]) assert.equal(stored.includes(secret), false, secret);
  await page.reload();
  await alice.unlock();
  await alice.openWallet();
  await hasCount(dialog.getByRole("radio"), 3);
});

test("an exported wallet opens elsewhere only with its passphrase, and removing it deletes it", async () => {
  const alice = await scene.arrive();
  await alice.createWallet();
  const download = alice.page.waitForEvent("download");
  await alice.openWallet();
  await alice.page.getByRole("button", { name: "Export encrypted file" }).click();
  const file = await (await download).path();
  assert.deepEqual(Object.keys(JSON.parse(readFileSync(file, "utf8"))).sort(), ["lock", "records", "zellbook_wallet"]);

  const bob = await scene.arrive();
  const { page } = bob;
  const dialog = await bob.openWallet();
  await dialog.getByText("Import private key, recovery phrase or file").click();
  await dialog.locator("input[type=file]").setInputFiles(file);
  await dialog.locator("#import-passphrase").fill("not this one");
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await dialog.getByText("Wrong passphrase.").waitFor();
  await dialog.locator("#import-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
  assert.equal((await dialog.locator(".key").textContent()).trim(), alice.account);
  await dialog.getByRole("button", { name: "Show recovery phrase" }).click();
  await dialog.locator("#reveal-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Reveal" }).click();
  assert.deepEqual(await bob.writeDown(), alice.words);

  await dialog.getByRole("button", { name: "Remove from this browser" }).click();
  await dialog.getByRole("button", { name: "Keep wallet" }).click();
  await dialog.getByRole("button", { name: "Remove from this browser" }).click();
  await dialog.getByRole("button", { name: "Remove wallet" }).click();
  await dialog.locator("#new-passphrase").waitFor();
  assert.deepEqual(await bob.stored("records"), []);
  await bob.closeWallet();
  await page.getByRole("button", { name: "Create wallet" }).first().waitFor();
});

test("a new passphrase replaces the old one after a reload", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await alice.createWallet();
  const dialog = await alice.openWallet();
  await dialog.getByText("Auto-lock and passphrase").click();
  const change = async (before, next) => {
    await dialog.locator("#next-passphrase").fill(next);
    await dialog.locator("#old-passphrase").fill(before);
    await dialog.getByRole("button", { name: "Change passphrase" }).click();
  };
  await change("not this one", "battery staple");
  await dialog.getByText("Wrong passphrase.").waitFor();
  await change(PASSPHRASE, "short");
  await dialog.getByRole("alert").filter({ hasText: "at least 8 characters." }).waitFor();
  await change(PASSPHRASE, "battery staple");
  await dialog.getByText("Passphrase changed.").waitFor();
  await page.reload();
  await page.getByRole("button", { name: "locked" }).click();
  await dialog.locator("#unlock-passphrase").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Unlock" }).click();
  await dialog.getByText("Wrong passphrase.").waitFor();
  await alice.closeWallet();
  await alice.unlock("battery staple");
});

test("the signing sheet of a locked wallet can be cancelled or unlocked in place", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await alice.createWallet();
  await alice.getTokens();
  await page.reload();
  await page.getByRole("button", { name: "locked" }).waitFor();
  const form = await alice.fill("Buy", "0.1", "1500");
  await form.locator("button[type=submit]").click();
  await page.getByText("Your wallet is locked. Unlock it to sign.").waitFor();
  await alice.sheet.getByRole("button", { name: "Cancel", exact: true }).click();
  await alice.sheet.waitFor({ state: "hidden" });
  await form.locator("button[type=submit]").click();
  await alice.sheet.locator("#unlock-passphrase").fill(PASSPHRASE);
  await alice.sheet.getByRole("button", { name: "Unlock" }).click();
  await alice.sign();
  await alice.outcome("applied");
});

test("the validity chosen on the signing sheet is part of the signed message", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await alice.createWallet();
  await alice.getTokens();
  const form = await alice.fill("Buy", "0.1", "1700");
  await form.locator("button[type=submit]").click();
  const until = async () => {
    const text = await alice.sheet.locator("pre").textContent();
    const found = /\nnonce: (\d+)(?:\nvalid_until: (\d+))?$/.exec(text);
    return found[2] === undefined ? undefined : Number(found[2]) - Number(found[1]);
  };
  assert.ok(Math.abs((await until()) - 3_600_000) < 5_000);
  await alice.sheet.getByLabel("Valid for").selectOption({ label: "1 minute" });
  assert.ok(Math.abs((await until()) - 60_000) < 20_000);
  await alice.sheet.getByLabel("Valid for").selectOption({ label: "No expiry" });
  assert.equal(await until(), undefined);
  const shown = await lines(alice.sheet);
  assert.equal(shown["Max cost incl. fee"], "170 USDT");
  assert.equal(shown["Time in force"], "Good till cancelled (GTC)");
  assert.ok(shown.Network);
  await alice.sign();
  await alice.outcome("applied");
});

test("a signed transaction survives a reload while the replica is unreachable, and is sent when it is back", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await alice.createWallet();
  await alice.getTokens();
  // Only the submission is blocked, because the replica also serves the page that is reloaded.
  await page.route("**/v1/transactions", (route) => route.abort());
  await alice.order("Buy", "0.1", "1600");
  await page.getByText("The replica does not answer.").first().waitFor();
  await page.reload();
  await alice.tab("Activity");
  const line = page.locator(".sent > li").filter({ hasText: "Buy 0.1 ETH at 1,600" });
  await line.getByText("The replica does not answer.").waitFor();
  await page.unroute("**/v1/transactions");
  await line.locator(".steps").getByText("applied").and(page.locator(".done")).waitFor();
  // After another reload the transaction is still listed exactly once.
  await page.reload();
  await alice.tab("Activity");
  await line.locator(".steps").getByText("applied").and(page.locator(".done")).waitFor();
  assert.equal(await line.count(), 1);
  await alice.tab("Open orders (1)");
});

for (const [name, viewport] of [["360", NARROW], ["1440", WIDE]]) {
  test(`at ${name} px a trading key signs orders without a prompt, within its limit, until it is revoked`, async () => {
    const alice = await scene.arrive({ viewport });
    const { page } = alice;
    await alice.createWallet();
    await alice.getTokens();
    await alice.tab("Trading keys");
    const form = page.locator("form.trading-key");
    await form.getByLabel("Market").selectOption("ETH/USDT");
    await form.getByLabel("Spending limit").selectOption("USDT");
    await form.getByRole("button", { name: "Create trading key" }).click();
    await form.getByText("Enter the spending limit as a number").waitFor();
    await form.locator("#spend-limit").fill("300");
    await form.getByRole("button", { name: "Create trading key" }).click();
    const shown = await lines(alice.sheet);
    assert.equal(shown["Spending limit"], "300 USDT");
    assert.equal(shown.Market, "ETH/USDT");
    const authorization = await alice.sign();
    assert.match(authorization, /\nkind: authorize_key\n[^]*\nmarket: ETH\/USDT\nspend_token: USDT\nspend_limit: 300\n/);
    await alice.outcome("applied");
    const key = /\nkey: ([0-9a-f]{66})\n/.exec(authorization)[1];
    await alice.tab("Trading keys");
    await page.getByRole("cell", { name: "this browser" }).waitFor();
    await page.getByRole("cell", { name: "300 of 300 USDT" }).waitFor();

    const order = await alice.fill("Buy", "0.1", "1300");
    await order.locator("button[type=submit]").click();
    await alice.outcome("applied");
    assert.equal(await alice.sheet.isVisible(), false);
    const [newest] = (await alice.stored("sent")).map((text) => JSON.parse(text)).filter(({ text }) => text.includes("kind: order"));
    assert.match(newest.text, new RegExp(`\nsigner: ${key}\n`));
    await alice.tab("Trading keys");
    await page.getByRole("cell", { name: "170 of 300 USDT" }).waitFor();

    // An order above the remaining limit needs the account's own key.
    await alice.fill("Buy", "0.2", "1300");
    await order.locator("button[type=submit]").click();
    assert.doesNotMatch(await alice.sheet.locator("pre").textContent(), /signer/);
    await page.keyboard.press("Escape");
    await alice.sheet.waitFor({ state: "hidden" });
    await alice.closeForm();
    await alice.tab("Open orders (1)");
    await page.getByRole("button", { name: /^Cancel order/ }).first().click();
    await alice.tab("Open orders (0)");

    await alice.tab("Trading keys");
    await page.getByRole("button", { name: /^Revoke trading key/ }).click();
    assert.match(await alice.sign(), /\nkind: revoke_key\n/);
    await alice.outcome("applied");
    await alice.tab("Trading keys");
    await page.getByText("No trading keys.").waitFor();
    await alice.fill("Buy", "0.1", "1300");
    await order.locator("button[type=submit]").click();
    assert.doesNotMatch(await alice.sheet.locator("pre").textContent(), /signer/);
  });
}
