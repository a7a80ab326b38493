// The order form while a program trades: market orders, the size slider, steppers; and the list of markets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCount, lines, NARROW, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { Trader } from "./trader.js";

let maker;
const scene = Scene.ofEachTest({ opens: false });
const begin = async (options) => {
  await scene.open(options);
  maker = await Trader.arrive(scene.exchange);
};
const openForm = async (person, side) => {
  if (person.isNarrow) await person.page.locator(".side-bar").getByRole("button", { name: side }).click();
  const form = person.page.locator("#order-form");
  await form.getByRole("group", { name: "Side" }).getByRole("button", { name: side, exact: true }).click();
  return form;
};

for (const [name, viewport, colorScheme] of [["1440 px, dark", WIDE, "dark"], ["360 px, light", NARROW, "light"]]) {
  test(`a market order fills immediately, within a limit price that is shown and signed, ${name}`, async () => {
    await begin({ fees: { maker: 2, taker: 5 } });
    const alice = await scene.trader({ viewport, colorScheme });
    const form = await openForm(alice, "Buy");
    await form.getByRole("button", { name: "Market", exact: true }).click();
    await form.getByLabel("Quantity").fill("1");
    await form.getByText("There are no asks in the book. Place a limit order instead.").waitFor();
    assert.equal(await form.locator("button[type=submit]").getAttribute("aria-disabled"), "true");

    await maker.execute(maker.order("sell", 0.5, 2000), maker.order("sell", 1, 2005), maker.order("sell", 1, 2030));
    const button = form.getByRole("button", { name: "Buy 1 ETH at market (limit 2,010)" });
    await button.waitFor();
    const shown = await lines(form);
    assert.equal(shown["Fills now"], "1 ETH across 2 levels");
    assert.equal(shown["Average price"], "2,002.50");
    assert.equal(shown["Worst price"], "2,005.00");
    assert.equal(shown["Taker fee"], "1.00125 USDT (0.05 %)");
    await form.getByLabel("Max slippage").selectOption({ label: "0.1 %" });
    await form.getByRole("button", { name: "Buy 1 ETH at market (limit 2,002)" }).waitFor();
    assert.equal((await lines(form))["Cancelled immediately"], "0.5 ETH: cannot fill now");
    await form.getByLabel("Max slippage").selectOption({ label: "0.5 %" });
    await button.click();
    assert.match(await alice.sign(), /\nside: buy\nquantity: 1\nprice: 2010\ntime_in_force: ioc\n/);
    await alice.outcome("applied");
    // The form clears the field after signing, and that shows no error.
    assert.equal(await form.getByLabel("Quantity").inputValue(), "");
    assert.equal(await form.locator("#field-quantity-error").textContent(), "");
    await alice.tab("Fills");
    await alice.page.getByRole("row", { name: /Buy 2,005.00 0.5000 taker/ }).waitFor();
    await alice.page.getByRole("row", { name: /Buy 2,000.00 0.5000 taker/ }).waitFor();
  });

  test(`the size slider sets a share of the maximum size, fee included, ${name}`, async () => {
    await begin({ fees: { maker: 2, taker: 5 } });
    const alice = await scene.trader({ viewport, colorScheme });
    const form = await openForm(alice, "Buy");
    const slider = form.getByRole("slider");
    const quantity = form.getByLabel("Quantity");
    assert.equal(await slider.isDisabled(), true);
    await form.getByText("Enter a price to see your maximum size").waitFor();
    await form.getByLabel("Price").fill("2000");
    // 50,000 USDT buy at most 24.9875 ETH at 2000 with a fee of 0.05 %.
    await form.getByText("0 % of 24.9875 ETH").waitFor();
    await slider.focus();
    await slider.press("ArrowRight");
    assert.equal(await quantity.inputValue(), "6.2468");
    await slider.press("End");
    assert.equal(await quantity.inputValue(), "24.9875");
    await form.getByText("100 % of 24.9875 ETH").waitFor();
    assert.equal(await form.locator("button[type=submit]").getAttribute("aria-disabled"), "false");
    await quantity.fill("24.9876");
    await form.locator("#order-reason").getByText("is available").waitFor();
    await form.getByRole("group", { name: "Side" }).getByRole("button", { name: "Sell" }).click();
    await slider.focus();
    await slider.press("Home");
    await slider.press("ArrowRight");
    await slider.press("ArrowRight");
    assert.equal(await quantity.inputValue(), "5");
    await form.getByText("50 % of 10 ETH").waitFor();

    // The steppers move by one lot and one tick.
    await form.getByRole("button", { name: "One step up" }).last().click();
    assert.equal(await quantity.inputValue(), "5.0001");
    await form.getByRole("button", { name: "One step down" }).first().click();
    assert.equal(await form.getByLabel("Price").inputValue(), "1999.99");
    if (alice.isNarrow) {
      await form.getByLabel("Price").press("Escape");
      await form.waitFor({ state: "hidden" });
    }
  });

  test(`markets are found by name and show their 24-hour figures, ${name}`, async () => {
    await begin();
    const taker = await Trader.arrive(scene.exchange);
    const deal = async (price, market) => {
      await maker.execute(maker.order("sell", 0.1, price, { market }));
      await taker.execute(taker.order("buy", 0.1, price, { market, timeInForce: "ioc" }));
    };
    await deal(2000, "ETH/USDT");
    await deal(1990, "ETH/USDT");
    await deal(60000, "BTC/USDT");
    await deal(61500, "BTC/USDT");
    const person = await scene.arrive({ viewport, colorScheme });
    const { page } = person;
    if (!person.isNarrow) await page.locator(".figures").getByText("−0.50 %").waitFor();
    await page.locator(".market-picker > button").click();
    const dialog = page.getByRole("dialog", { name: "Markets" });
    const wide = (text) => (person.isNarrow ? "" : text);
    await dialog.getByRole("row", { name: `ETH/USDT 1,990.00 −0.50 % ${wide("2,000.00 1,990.00 ")}0.2000 ETH` }).waitFor();
    await dialog.getByRole("row", { name: `BTC/USDT 61,500.0 +2.50 % ${wide("61,500.0 60,000.0 ")}0.20000 BTC` }).waitFor();
    const { scrollWidth, clientWidth } = await dialog.evaluate((element) => ({ scrollWidth: element.scrollWidth, clientWidth: element.clientWidth }));
    assert.ok(scrollWidth <= clientWidth, `${scrollWidth} in ${clientWidth} px`);
    await dialog.getByLabel("Search").fill("unknown");
    await dialog.getByText("No market found.").waitFor();
    await dialog.getByLabel("Search").fill("btc");
    await hasCount(dialog.locator("tbody tr"), 1);
    await dialog.getByLabel("Search").press("Enter");
    await dialog.waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Market BTC/USDT" }).waitFor();
    await page.locator(".readout").filter({ hasText: "Close 61,500.0" }).waitFor();
  });
}

test("a market in the list keeps the focus while its figures change", async () => {
  await scene.open();
  const person = await scene.arrive();
  const { page } = person;
  const maker = await Trader.arrive(scene.exchange);
  const taker = await Trader.arrive(scene.exchange);
  await page.locator(".market-picker > button").click();
  const dialog = page.getByRole("dialog", { name: "Markets" });
  await dialog.getByRole("button", { name: "BTC/USDT", exact: true }).focus();
  await maker.execute(maker.order("sell", 0.1, 2000));
  await taker.execute(taker.order("buy", 0.1, 2000, { timeInForce: "ioc" }));
  await dialog.getByRole("row", { name: /^ETH\/USDT 2,000.00/ }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "BTC/USDT");
});

test("the message in the form has all lines of the one that is signed", async () => {
  await scene.open();
  const alice = await scene.trader();
  const { page, sheet } = alice;
  const form = await alice.fill("Buy", "0.1", "1900");
  await form.getByText("Advanced", { exact: true }).click();
  const names = (text) => text.split("\n").map((line) => line.split(": ")[0]);
  const shown = names(await form.locator("pre").textContent());
  await form.locator("button[type=submit]").click();
  assert.deepEqual(shown, names(await alice.sign()));
  await alice.outcome("applied");

  // A trading key is named too.
  await alice.tab("Trading keys");
  await page.locator("form.trading-key").getByRole("button", { name: "Create trading key" }).click();
  const key = /\nkey: ([0-9a-f]{66})\n/.exec(await alice.sign())[1];
  await alice.outcome("applied");
  await alice.tab("Trading keys");
  await page.getByRole("cell", { name: "this browser" }).waitFor();
  await alice.fill("Buy", "0.1", "1901");
  await form.locator("pre").filter({ hasText: `signer: ${key}` }).waitFor();
  assert.equal(await sheet.isVisible(), false);
});
