// The account panel: history page by page and as CSV, deposits, withdrawals, transfers, and the dead-man's switch.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { lines, NARROW, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { Trader } from "./trader.js";

const SIZES = [["1440 px, dark", { viewport: WIDE }], ["360 px, light", { viewport: NARROW, colorScheme: "light" }]];

const scene = Scene.ofEachTest();

const rows = ({ page }) => page.locator(".tab-body tbody tr");
const count = (person, wanted) =>
  person.page.waitForFunction((wanted) => document.querySelectorAll(".tab-body tbody tr").length === wanted, wanted);
const saved = async ({ page }) => {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export CSV" }).click();
  const file = await download;
  const text = readFileSync(await file.path(), "utf8");
  return { name: file.suggestedFilename(), text, rows: text.trimEnd().split("\r\n") };
};

for (const [name, options] of SIZES) {
  test(`fills are shown page by page, arrive live, and are exported as CSV, ${name}`, async () => {
    const alice = await scene.trader(options);
    const taker = await Trader.arrive(scene.exchange);
    await alice.tab("Fills");
    await alice.page.getByText("No fills yet.").waitFor();
    await alice.order("Sell", "5", "2000");
    await alice.outcome("applied");
    await alice.tab("Fills");
    await alice.page.getByText("No fills yet.").waitFor();
    const buy = (quantity) => taker.order("buy", quantity, 2000, { timeInForce: "ioc" });
    await taker.execute(...Array.from({ length: 52 }, () => buy(0.01)));
    await alice.page.getByRole("button", { name: "Load more" }).waitFor();
    await count(alice, 50);
    await taker.execute(buy(0.5));
    await count(alice, 51);
    await rows(alice).first().filter({ hasText: "Sell2,000.000.5000maker0 USDT" }).waitFor();
    await alice.page.getByRole("button", { name: "Load more" }).click();
    await count(alice, 53);
    await alice.page.getByRole("button", { name: "Load more" }).waitFor({ state: "hidden" });

    const file = await saved(alice);
    assert.equal(file.name, `zellbook-fills-${alice.account.slice(0, 10)}.csv`);
    assert.equal(file.rows.length, 54);
    assert.equal(file.rows[0], '"time","trade","market","side","price","quantity","role","fee","fee token","order","batch"');
    assert.match(file.rows[1], /^"\d{4}-\d\d-\d\dT[^"]*Z","53","ETH\/USDT","sell","2000","0.5","maker","0","USDT","1","\d+"$/);
    assert.match(file.rows[53], /,"1","ETH\/USDT","sell","2000","0.01","maker",/);
  });

  test(`withdrawals and transfers move the exact amount, and the ledger lists them, ${name}`, async () => {
    const bob = await scene.trader(options);
    const alice = await scene.trader(options);
    const { page } = alice;
    const sheet = (title) => page.getByRole("dialog", { name: title });
    const open = async (what) => {
      await alice.tab("Balances");
      await page.getByRole("button", { name: what, exact: true }).click();
      return sheet(what);
    };
    let form = await open("Withdraw USDT");
    const amount = form.getByLabel("Amount");
    const refused = async (text, why) => {
      await amount.fill(text);
      await amount.blur();
      await form.locator("#funds-amount-error").getByText(why).waitFor();
      assert.equal(await form.locator("button[type=submit]").getAttribute("aria-disabled"), "true");
    };
    await refused("0", "Amount is zero");
    await refused("1.0000001", "decimals");
    await refused("50000.000001", "only 50000 USDT is available");
    await refused("ten", "as a number, for example 1500.25");
    await amount.fill("1000.5");
    const to = form.getByLabel("Withdrawal address");
    await to.fill("my account");
    await to.blur();
    await form.getByText("Enter 1 to 128 characters: letters, digits").waitFor();
    await form.locator("button[type=submit]").click({ force: true });
    assert.equal(await alice.sheet.isVisible(), false);
    await to.fill("@desk-7");
    await form.getByRole("button", { name: "Withdraw 1,000.5 USDT" }).click();
    const { Network, ...shown } = await lines(alice.sheet);
    assert.ok(Network);
    assert.deepEqual(shown, { Amount: "1,000.5 USDT", "Withdrawal address": "@desk-7" });
    assert.match(await alice.sign(), /\nkind: withdraw\naccount: [0-9a-f]{66}\ntoken: USDT\namount: 1000.5\ndestination: @desk-7\n/);
    await alice.outcome("applied");
    await alice.tab("Balances");
    await page.getByRole("row", { name: /^USDT 48,999.5 0 48,999.5/ }).waitFor();
    const row = page.getByRole("row", { name: /^1 1,000.5 USDT @desk-7 batch \d+/ });
    await row.waitFor();
    assert.match(await row.getByRole("link").getAttribute("href"), /^\/batches\/\d+$/);
    // The issuer pays from here on.
    await page.getByRole("row", { name: /^1 1,000.5 USDT @desk-7 batch \d+ certified$/ }).waitFor();

    form = await open("Transfer ETH");
    await form.getByRole("button", { name: "Max" }).click();
    assert.equal(await form.getByLabel("Amount").inputValue(), "10");
    const receiver = form.getByLabel("Recipient account");
    await receiver.fill("02abc");
    await receiver.blur();
    await form.getByText("66 lowercase hex digits").waitFor();
    await receiver.fill(alice.account);
    await form.getByText("This is your own account.").waitFor();
    await receiver.fill(bob.account);
    await form.getByRole("button", { name: "Transfer 10 ETH" }).click();
    assert.match(await alice.sign(), new RegExp(`\nkind: transfer\naccount: [0-9a-f]{66}\ntoken: ETH\nto: ${bob.account}\namount: 10\n`));
    await alice.outcome("applied");
    await bob.tab("Balances");
    await bob.page.getByRole("row", { name: /^ETH 20 0 20/ }).waitFor();

    await alice.tab("Ledger");
    const words = (person) => rows(person).evaluateAll((rows) => rows.map((row) => [...row.cells].slice(1, 4).map((cell) => cell.textContent).join(" ")));
    await count(alice, 5);
    const received = (await words(alice)).slice(2).sort();
    assert.deepEqual((await words(alice)).slice(0, 2), ["Transfer out ETH −10", "Withdrawal USDT −1,000.5"]);
    assert.deepEqual(received, ["Deposit BTC +1", "Deposit ETH +10", "Deposit USDT +50,000"]);
    await bob.tab("Ledger");
    await rows(bob).first().filter({ hasText: "Transfer inETH+10" }).waitFor();
    // A spreadsheet would read a value that starts with @ as a formula.
    const file = await saved(alice);
    assert.match(file.rows[2], /,"withdrawal","USDT","1000.5","'@desk-7",/);

    form = await open("Deposit BTC");
    await form.getByText("To deposit BTC, pay its issuer outside this exchange").waitFor();
    await form.getByText(alice.account).waitFor();
    await form.getByRole("button", { name: "Close" }).click();
  });

  test(`open orders are filtered by market, and "cancel all" cancels only the filtered ones, ${name}`, async () => {
    const alice = await scene.trader(options);
    const { page } = alice;
    for (const [market, price] of [["ETH/USDT", "1900"], ["ETH/USDT", "1901"], ["BTC/USDT", "50000"]]) {
      if (market === "BTC/USDT") await alice.market(market);
      await alice.order("Buy", "0.01", price);
      await alice.outcome("applied");
    }
    await alice.tab("Open orders (3)");
    await page.getByLabel("Filter by market").selectOption("BTC/USDT");
    await count(alice, 1);
    await page.getByRole("button", { name: "Cancel all on BTC/USDT" }).waitFor();
    await page.getByLabel("Filter by market").selectOption("ETH/USDT");
    await count(alice, 2);
    await page.getByRole("button", { name: "Cancel all on ETH/USDT" }).click();
    assert.match(await alice.sign(), /\nkind: cancel_all\naccount: [0-9a-f]{66}\nmarket: ETH\/USDT\n/);
    await alice.tab("Open orders (1)");
    await page.getByRole("row", { name: /BTC\/USDT Buy 50,000/ }).waitFor();
    await alice.tab("Order history");
    await count(alice, 2);
  });
}

test("the dead-man's switch counts down, is extended while the page is open, and is turned off", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await page.clock.install();
  await page.reload();
  await page.getByText("Live · batch").waitFor();
  await alice.createWallet();
  await alice.getTokens();
  await alice.order("Buy", "1", "1900");
  await alice.outcome("applied");
  await alice.tab("Open orders (1)");
  await page.getByLabel("After").selectOption({ label: "2 min" });
  await page.getByRole("button", { name: "Turn on" }).click();
  const set = Number(/\nkind: cancel_all_after\naccount: [0-9a-f]{66}\ntime: (\d+)\n/.exec(await alice.sign())[1]);
  assert.ok(Math.abs(set - Date.now() - 120_000) < 10_000);
  await alice.outcome("applied");
  await alice.tab("Open orders (1)");
  const left = page.getByRole("timer");
  await left.getByText(/^(2:00|1:5\d)$/).waitFor();
  await left.getByText("This page keeps extending it while it is open.").waitFor();
  const due = async () => Number((await scene.exchange.get(`/v1/accounts/${alice.account}`)).switch_ms);
  assert.equal(await due(), set);

  // After half of the time the page extends it by itself, and the visible tab stays the same.
  await page.clock.fastForward(65_000);
  await left.getByText(/^(2:0\d|1:5\d)$/).waitFor();
  for (let attempt = 0; (await due()) === set && attempt < 100; attempt += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok((await due()) >= set + 60_000);
  await page.getByRole("row", { name: /Buy 1,900/ }).waitFor();
  await page.getByText("Dead-man's switch extended").first().waitFor();
  assert.equal(await page.getByText("Dead-man's switch off").count(), 0);

  await page.getByRole("button", { name: "Turn off" }).click();
  assert.match(await alice.sign(), /\ntime: 0\n/);
  await alice.outcome("applied");
  await alice.tab("Open orders (1)");
  await left.waitFor({ state: "hidden" });
  assert.equal((await scene.exchange.get(`/v1/accounts/${alice.account}`)).switch_ms, null);
});

test("a switch that is dismissed on the sheet changes nothing about the one that is on", async () => {
  const alice = await scene.trader();
  const { page, sheet } = alice;
  const left = page.getByRole("timer");
  const press = async (name) => {
    await page.getByRole("button", { name, exact: true }).click();
    await sheet.waitFor();
  };
  const dismiss = async () => {
    await sheet.getByRole("button", { name: "Cancel" }).click();
    await sheet.waitFor({ state: "hidden" });
  };
  await alice.tab("Open orders (0)");
  await page.getByLabel("After").selectOption({ label: "1 hour" });
  await press("Turn on");
  await alice.sign();
  await alice.outcome("applied");
  await alice.tab("Open orders (0)");
  await left.getByText("This page keeps extending it while it is open.").waitFor();

  await press("Turn off");
  await dismiss();
  await left.getByText("This page keeps extending it while it is open.").waitFor();

  // After a reload nobody has switched it on here, and a dismissed sheet does not count either.
  await page.reload();
  await alice.unlock();
  await alice.tab("Open orders (0)");
  await left.getByText("This page does not extend it.").waitFor();
  await page.getByLabel("After").selectOption({ label: "8 hours" });
  await press("Turn on");
  await dismiss();
  await left.getByText("This page does not extend it.").waitFor();

  // Another account does not extend the switch of this one.
  await press("Turn on");
  await alice.sign();
  await alice.outcome("applied");
  await alice.openWallet();
  await alice.dialog.getByRole("button", { name: "Add account" }).click();
  await alice.dialog.getByRole("radio", { name: "Account 2" }).waitFor();
  await alice.closeWallet();
  // The exchange takes nothing from an account that it does not know.
  await alice.getTokens();
  await alice.tab("Open orders (0)");
  await page.getByLabel("After").selectOption({ label: "2 min" });
  await press("Turn on");
  await alice.sign();
  await alice.outcome("applied");
  await alice.openWallet();
  await alice.dialog.getByRole("radio", { name: "Account 1" }).check();
  await alice.closeWallet();
  await alice.tab("Open orders (0)");
  await left.getByText("This page does not extend it.").waitFor();
});
