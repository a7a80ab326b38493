// The network that an account was used on, and the page's warning when its address serves a different one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { lines, NARROW, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { isSound } from "./sound.js";

const scene = Scene.ofEachTest();
const network = async () => (await scene.exchange.get("/v1/status")).network;
const short = (id) => `${id.slice(0, 8)}…${id.slice(-6)}`;

for (const [name, viewport, colorScheme] of [["360 px, light", NARROW, "light"], ["1440 px, dark", WIDE, "dark"]]) {
  test(`a different network is reported before anything is signed, and used once it is accepted, ${name}`, async () => {
    const alice = await scene.trader({ viewport, colorScheme });
    const { page, sheet } = alice;
    const before = await network();
    const banner = page.locator(".banner").filter({ hasText: "Different network" });

    // The replica is replaced while the page is open, so the page still shows data of the old network.
    await scene.exchange.charge({ maker: 1, taker: 2 });
    const after = await network();
    assert.notEqual(after, before);
    await banner.getByText(`this address now serves ${short(after)}, but you used your account on ${short(before)}`).waitFor();
    await page.reload();
    await banner.waitFor();
    await alice.unlock();
    await isSound(page, "the banner of a different network");

    // The sheet cannot be signed, and nothing else is signed either.
    await alice.tab("Balances");
    await page.getByRole("button", { name: "Get test tokens" }).click();
    const form = await alice.fill("Buy", "0.1", "1900");
    await form.locator("button[type=submit]").click();
    assert.equal((await lines(sheet)).Network, short(after));
    await sheet.getByText("Different network").waitFor();
    assert.equal(await sheet.getByRole("button", { name: "Sign and send" }).count(), 0);
    await isSound(page, "the signing sheet on a different network");

    await sheet.getByRole("button", { name: "Switch to this network" }).click();
    const text = await alice.sign();
    assert.match(text, new RegExp(`^Zellbook 1 ${after}\n`));
    await alice.outcome("applied");
    await banner.waitFor({ state: "hidden" });
    await page.reload();
    await alice.tab("Open orders (1)");
    assert.equal(await banner.count(), 0);
  });
}

test("a trading key signs nothing on a different network, and a new account gets no warning", async () => {
  const alice = await scene.trader();
  const { page, sheet } = alice;
  await alice.tab("Trading keys");
  await page.locator("form.trading-key").getByRole("button", { name: "Create trading key" }).click();
  const key = /\nkey: ([0-9a-f]{66})\n/.exec(await alice.sign())[1];
  await alice.outcome("applied");
  await alice.tab("Trading keys");
  await page.getByRole("cell", { name: "this browser" }).waitFor();

  // Changes the stored network of this account, as if this address had served another network before.
  await page.evaluate(async () => {
    const opened = indexedDB.open("zellbook");
    await new Promise((resolve) => opened.addEventListener("success", resolve));
    const store = opened.result.transaction("wallet", "readwrite").objectStore("wallet");
    const read = store.get("settings");
    await new Promise((resolve) => read.addEventListener("success", resolve));
    const settings = JSON.parse(read.result);
    settings.networks[0][1] = "11".repeat(32);
    const written = store.put(JSON.stringify(settings), "settings");
    await new Promise((resolve) => written.addEventListener("success", resolve));
    opened.result.close();
  });
  await page.reload();
  await alice.unlock();
  const form = await alice.fill("Buy", "0.1", "1900");
  await form.locator("button[type=submit]").click();
  await sheet.getByText("Different network").waitFor();
  const signed = (await alice.stored("sent")).filter((sent) => sent.includes(`signer: ${key}`));
  assert.deepEqual(signed, []);
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "hidden" });

  const banner = page.locator(".banner").filter({ hasText: "Different network" });
  await banner.waitFor();
  await alice.openWallet();
  await alice.dialog.getByRole("button", { name: "Add account" }).click();
  await alice.dialog.getByRole("radio", { name: "Account 2" }).waitFor();
  await banner.waitFor({ state: "hidden" });
  await alice.dialog.getByRole("radio", { name: "Account 1" }).check();
  await banner.waitFor();
});
