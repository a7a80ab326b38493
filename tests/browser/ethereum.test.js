// Ethereum wallets in the browser: discovery, connecting, signing, and changes of the account or connection.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { EthereumWallet } from "./ethereum.js";
import { NARROW, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { isSound } from "./sound.js";

// Keys of the phrase that Hardhat and Foundry publish for their test networks.
const SECRET = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const SECOND_SECRET = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const SECOND_ACCOUNT = "02ba5734d8f7091719471e7f7ed6b9df170dc70cc661ca05e688601ad984f068b0";

const scene = Scene.ofFile();

const connect = async (person) => {
  const dialog = await person.openWallet();
  await dialog.getByText("Connect Ethereum wallet").click();
  await dialog.getByRole("button", { name: "Example Wallet" }).click();
  return dialog;
};

test("an Ethereum wallet is found, connects and signs everything; a rejected request is not sent", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  const wallet = new EthereumWallet(SECOND_SECRET);
  let dialog = await alice.openWallet();
  await dialog.getByText("Connect Ethereum wallet").click();
  await dialog.getByText("No Ethereum wallet found in this browser.").waitFor();
  await wallet.install(alice.context);
  await page.reload();

  // The first request is rejected. Then the wallet connects, and the account is the key recovered from its signature.
  wallet.refuses = true;
  dialog = await connect(alice);
  await dialog.getByText("You rejected the request in Example Wallet.").waitFor();
  wallet.refuses = false;
  await dialog.getByRole("button", { name: "Example Wallet" }).click();
  await dialog.locator(".key").filter({ hasText: wallet.account }).waitFor();
  assert.match(wallet.signed, /^Zellbook: show my public key\n/);
  assert.equal(wallet.account, SECOND_ACCOUNT);
  await isSound(page, "the wallet of Ethereum");
  await alice.closeWallet();
  await alice.getTokens();

  const form = await alice.fill("Buy", "0.1", "1400");
  await form.locator("button[type=submit]").click();
  wallet.refuses = true;
  await alice.sheet.getByRole("button", { name: "Sign and send" }).click();
  await alice.sheet.getByText("You rejected the request in Example Wallet.").waitFor();
  wallet.refuses = false;
  // The page notices another account in the wallet.
  wallet.shown = "0x0000000000000000000000000000000000000001";
  await alice.sheet.getByRole("button", { name: "Sign and send" }).click();
  await alice.sheet.getByText("Example Wallet now has").waitFor();
  wallet.shown = wallet.address;
  const text = await alice.sign();
  await alice.outcome("applied");
  assert.equal(wallet.signed, text);
  assert.equal((await scene.exchange.get(`/v1/accounts/${wallet.account}`)).open_orders.length, 1);

  // The account is still there after a reload, without a passphrase.
  await page.reload();
  await alice.tab("Open orders (1)");
  await page.getByRole("button", { name: /^Cancel order/ }).first().click();
  await alice.sign();
  await alice.tab("Open orders (0)");
  assert.deepEqual(await alice.stored("records"), []);
});

test("a wallet that signs with a different key than that of its address is not connected", async () => {
  const alice = await scene.arrive();
  const wallet = new EthereumWallet(SECRET);
  wallet.shown = new EthereumWallet("11".repeat(32)).address;
  await wallet.install(alice.context);
  await alice.page.reload();
  const dialog = await connect(alice);
  await dialog.getByText("The wallet signed with a different account.").waitFor();
  assert.equal(await dialog.locator(".key").count(), 0);
});

// A new wallet for each test, so that tests share no accounts.
const anyWallet = () => new EthereumWallet(randomBytes(32).toString("hex"));
// A person with a connected Ethereum wallet and test tokens.
const connected = async (options) => {
  const person = await scene.arrive(options);
  const wallet = anyWallet();
  await wallet.install(person.context);
  await person.page.reload();
  const dialog = await connect(person);
  await dialog.locator(".key").filter({ hasText: wallet.account }).waitFor();
  await person.closeWallet();
  await person.getTokens();
  return { person, wallet, banner: person.page.locator(".banner") };
};

for (const [name, viewport] of [["360", NARROW], ["1440", WIDE]]) {
  test(`at ${name} px the page reports at once when the wallet selects another account or none, and when it returns`, async () => {
    const { person, wallet, banner } = await connected({ viewport });
    const { page } = person;
    const other = anyWallet();
    const short = (address) => `${address.slice(0, 8)}…${address.slice(-6)}`;
    await wallet.show(page, other.address);
    await banner.getByText(`Example Wallet now has ${short(other.address)} selected, not ${short(wallet.address)}`).waitFor();
    await isSound(page, "the banner of another account");
    await wallet.show(page, wallet.address);
    await banner.waitFor({ state: "hidden" });
    await wallet.show(page, undefined);
    await banner.getByText("locked or disconnected").waitFor();
    // A change of the chain does not matter, because the wallet only signs messages.
    await wallet.emit(page, "chainChanged", "0xa");
    await banner.getByText("locked or disconnected").waitFor();
    wallet.shown = wallet.address;
    await banner.getByRole("button", { name: "Reconnect" }).click();
    await banner.waitFor({ state: "hidden" });
    await wallet.emit(page, "disconnect", { code: 4900, message: "gone" });
    await banner.getByText("locked or disconnected").waitFor();
    await wallet.emit(page, "accountsChanged", [wallet.address]);
    await banner.waitFor({ state: "hidden" });
  });
}

test("a page opened while another account is selected says so; a locked wallet causes no warning", async () => {
  const { person, wallet, banner } = await connected();
  const { page } = person;
  wallet.shown = anyWallet().address;
  await page.reload();
  await banner.getByText("Example Wallet now has").waitFor();
  wallet.shown = undefined;
  wallet.asked = [];
  await page.reload();
  await page.getByRole("row", { name: /USDT 50,000/ }).waitFor();
  await page.waitForFunction(() => document.querySelector(".replica.good"));
  assert.deepEqual(wallet.asked, ["eth_accounts"]);
  assert.equal(await banner.count(), 0);
});

test("a request waits unchanged while its account is not selected, and no other account signs it", async () => {
  const { person, wallet, banner } = await connected();
  const { page, sheet } = person;
  const other = anyWallet();
  const form = await person.fill("Buy", "0.1", "1410");
  await form.locator("button[type=submit]").click();
  const text = await sheet.locator("pre").textContent();

  // Instead of answering, the wallet changes its account.
  const release = wallet.hold();
  await sheet.getByRole("button", { name: "Sign and send" }).click();
  await sheet.getByRole("button", { name: "Confirm in your wallet…" }).waitFor();
  await wallet.show(page, other.address);
  await sheet.getByText("This request stays open until then.").waitFor();
  await sheet.getByRole("button", { name: "Sign and send" }).waitFor();
  release();
  await sheet.getByRole("button", { name: "Sign and send" }).click();
  await page.waitForFunction(() => !document.querySelector("dialog[open]")?.textContent.includes("Confirm in your wallet"));
  assert.equal(await sheet.locator("pre").textContent(), text);
  assert.equal((await person.stored("sent")).filter((sent) => sent.includes("kind: order")).length, 0);

  await wallet.show(page, wallet.address);
  await sheet.getByText("This request stays open until then.").waitFor({ state: "detached" });
  assert.equal(await sheet.locator("pre").textContent(), text);
  await person.sign();
  await person.outcome("applied");
  assert.equal(wallet.signed, text);
  assert.equal((await scene.exchange.get(`/v1/accounts/${wallet.account}`)).open_orders.length, 1);
  assert.equal(await banner.count(), 0);
});

test("the page switches to the other account on request, and back to a known one without another signature", async () => {
  const { person, wallet, banner } = await connected();
  const { page } = person;
  const other = anyWallet();
  wallet.others.push(other);
  await wallet.show(page, other.address);
  await banner.getByRole("button", { name: /^Switch to 0x/ }).click();
  await banner.waitFor({ state: "hidden" });
  await person.openWallet();
  await person.dialog.locator(".key").filter({ hasText: other.account }).waitFor();
  await person.closeWallet();
  const asked = wallet.asked.filter((method) => method === "personal_sign").length;
  await wallet.show(page, wallet.address);
  await banner.getByRole("button", { name: /^Switch to 0x/ }).click();
  await banner.waitFor({ state: "hidden" });
  await person.openWallet();
  await person.dialog.locator(".key").filter({ hasText: wallet.account }).waitFor();
  assert.equal(wallet.asked.filter((method) => method === "personal_sign").length, asked);
});
