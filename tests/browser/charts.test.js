// The candle chart, the depth chart and the order book, while a program trades.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCount, NARROW, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { Trader } from "./trader.js";

let maker;
const scene = Scene.ofEachTest({
  prepare: async ({ exchange }) => {
    maker = await Trader.arrive(exchange);
  },
});
const shown = async (place) => (await place.allTextContents()).map((text) => text.trim()).filter(Boolean);
const readout = ({ page }, text) => page.locator(".readout").filter({ hasText: text }).waitFor();

// Records what the chart library is asked to draw, because a canvas cannot be read.
const watchChart = async ({ page }) => {
  await page.evaluate(() => {
    globalThis.drawn = {};
    const { mount } = globalThis.zellbookChart;
    globalThis.zellbookChart.mount = (...given) => {
      const chart = mount(...given);
      const record = (name) => {
        const original = chart[name];
        chart[name] = (list, ...rest) => {
          globalThis.drawn[name] = [...list];
          return original(list, ...rest);
        };
      };
      for (const name of ["setAll", "setMarks", "setFrom"]) record(name);
      return chart;
    };
  });
  await page.getByRole("tab", { name: "Depth" }).click();
  await page.getByRole("tab", { name: "Candles" }).click();
};

for (const [name, viewport, colorScheme] of [["1440 px, dark", WIDE, "dark"], ["360 px, light", NARROW, "light"]]) {
  test(`candles follow the trades, and own fills are marked, ${name}`, async () => {
    const alice = await scene.arrive({ viewport, colorScheme });
    const { page } = alice;
    await page.getByText("No trades in this market yet.").waitFor();
    await page.locator(".chart canvas").first().waitFor();
    await alice.createWallet();
    await alice.getTokens();
    await watchChart(alice);
    await maker.execute(maker.order("sell", 2, 2000), maker.order("sell", 1, 2010), maker.order("buy", 1, 1990));
    await alice.order("Buy", "2.5", "2010");
    await alice.outcome("applied");
    // Two trades: at 2000, then at 2010.
    for (const value of ["Open 2,000.00", "High 2,010.00", "Low 2,000.00", "Close 2,010.00 ▲", "Volume 2.5000"]) await readout(alice, value);
    await alice.order("Sell", "0.25", "1990");
    await alice.outcome("applied");
    for (const value of ["Open 2,000.00", "High 2,010.00", "Low 1,990.00", "Close 1,990.00 ▼", "Volume 2.7500"]) await readout(alice, value);
    await page.getByText("No trades in this market yet.").waitFor({ state: "hidden" });

    // The drawn values match the readout, and both sides are marked on the candle of the fills.
    const drawn = await page.evaluate(() => globalThis.drawn);
    const [start, ...values] = drawn.setFrom.slice(-6);
    assert.deepEqual(values, [2000, 2010, 1990, 1990, 2.75]);
    assert.deepEqual(drawn.setMarks.slice(-4), [start, 0, start, 1]);

    // After a reload the replica gives the same candles, at each interval and as a table.
    await page.reload();
    for (const length of ["1m", "5m", "15m", "1h", "4h", "1d"]) {
      await page.getByRole("button", { name: length, exact: true }).click();
      await readout(alice, "Volume 2.7500");
    }
    await page.getByRole("button", { name: "Table" }).click();
    const table = page.getByRole("region", { name: "Candle table" });
    assert.deepEqual(await shown(table.locator("tbody td")), ["2,000.00", "2,010.00", "1,990.00", "1,990.00", "2.7500"]);
    await page.getByRole("link", { name: /TradingView/ }).waitFor();
  });
}

test("the chart follows the theme's colours and the size of its panel", async () => {
  await maker.execute(maker.order("sell", 2, 2000));
  const taker = await Trader.arrive(scene.exchange);
  await taker.execute(taker.order("buy", 1, 2000));
  const { page } = await scene.arrive();
  await page.getByText("Volume 1.0000").waitFor();
  const canvas = page.locator(".chart .canvas canvas").first();
  const colour = () => canvas.evaluate((canvas) => [...canvas.getContext("2d").getImageData(3, 3, 1, 1).data]);
  assert.deepEqual(await colour(), [21, 27, 35, 255]);
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForFunction(() => {
    const canvas = document.querySelector(".chart .canvas canvas");
    return canvas.getContext("2d").getImageData(3, 3, 1, 1).data[0] === 255;
  });
  const wide = (await canvas.boundingBox()).width;
  await page.setViewportSize({ width: 1800, height: 900 });
  await page.waitForFunction((wide) => document.querySelector(".chart .canvas canvas").getBoundingClientRect().width > wide + 200, wide);
});

for (const [name, viewport] of [["1440 px", WIDE], ["360 px", NARROW]]) {
  test(`the depth chart is read by pointer and keyboard, ${name}`, async () => {
    const { page } = await scene.arrive({ viewport });
    await page.getByRole("tab", { name: "Depth" }).click();
    await page.getByText("The order book is empty.").waitFor();
    await maker.execute(maker.order("buy", 1, 1990), maker.order("buy", 2, 1980), maker.order("sell", 0.5, 2000), maker.order("sell", 1.5, 2010));
    const depth = page.getByRole("slider", { name: "Order book depth by price" });
    const reads = (text) => page.waitForFunction((text) => document.querySelector(".depth-chart").getAttribute("aria-valuetext") === text, text);
    await page.getByText("The order book is empty.").waitFor({ state: "hidden" });
    await depth.focus();
    await depth.press("ArrowRight");
    await reads("Asks up to 2,000.00: 0.5 ETH for 1,000 USDT");
    await depth.press("End");
    await reads("Asks up to 2,010.00: 2 ETH for 4,015 USDT");
    await depth.press("Home");
    await reads("Bids down to 1,980.00: 3 ETH for 5,950 USDT");
    await depth.press("ArrowRight");
    await reads("Bids down to 1,990.00: 1 ETH for 1,990 USDT");
    const box = await depth.boundingBox();
    await depth.hover({ position: { x: box.width - 2, y: 50 } });
    await reads("Asks up to 2,010.00: 2 ETH for 4,015 USDT");
    // The depth follows the book.
    await maker.execute(maker.order("sell", 1, 2020));
    await page.waitForFunction(() => document.querySelector(".depth-chart").getAttribute("aria-valuemax") === "4");
    await depth.press("End");
    await reads("Asks up to 2,020.00: 3 ETH for 6,035 USDT");
  });
}

test("the order book shows totals, groups bids down and asks up, marks own orders and keeps its rows", async () => {
  const alice = await scene.arrive();
  const { page } = alice;
  await alice.createWallet();
  await alice.getTokens();
  const rows = await page.locator(".book tbody tr").count();
  await maker.execute(
    maker.order("sell", 0.5, 2000.01), maker.order("sell", 0.25, 2000.1), maker.order("sell", 1, 2001.5),
    maker.order("buy", 0.4, 1999.99), maker.order("buy", 0.6, 1999.9), maker.order("buy", 2, 1998.2),
  );
  await alice.order("Buy", "0.1", "1999.99");
  await alice.outcome("applied");
  const side = (name) => page.locator(`.book .${name} tr:not(.blank)`);
  const cells = async (name) => {
    const rows = await side(name).all();
    return Promise.all(rows.map(async (row) => shown(row.locator("td:not(.bar)"))));
  };
  await page.getByRole("button", { name: "1,999.99, use this bid price, your orders: 0.1" }).waitFor();
  assert.deepEqual(await cells("asks"), [["2,001.50", "1.0000", "1.7500"], ["2,000.10", "0.2500", "0.7500"], ["2,000.01", "0.5000", "0.5000"]]);
  assert.deepEqual(await cells("bids"), [["1,999.99", "0.5000", "0.5000"], ["1,999.90", "0.6000", "1.1000"], ["1,998.20", "2.0000", "3.1000"]]);
  assert.deepEqual(await shown(page.locator(".book .spread td")), ["2,000.00 · spread 0.02 · 0.1 bps"]);
  await hasCount(page.locator(".book tr.mine"), 1);

  await page.getByLabel("Group prices by").selectOption({ label: "1" });
  await page.getByRole("button", { name: "1,999.00, use this bid price, your orders: 0.1" }).waitFor();
  assert.deepEqual(await cells("asks"), [["2,002.00", "1.0000", "1.7500"], ["2,001.00", "0.7500", "0.7500"]]);
  assert.deepEqual(await cells("bids"), [["1,999.00", "1.1000", "1.1000"], ["1,998.00", "2.0000", "3.1000"]]);
  assert.equal(await page.locator(".book tbody tr").count(), rows, "as many rows as before");

  await page.getByRole("button", { name: "2,001.00, use this ask price" }).click();
  assert.equal(await page.locator("#field-price").inputValue(), "2001");
  assert.equal(await page.locator("#order-form").getByRole("button", { name: "Buy", exact: true }).first().getAttribute("aria-pressed"), "true");
  await page.getByRole("button", { name: /^1,998.00, use this bid price/ }).click();
  assert.equal(await page.locator("#field-price").inputValue(), "1998");
  assert.equal(await page.locator("#order-form").getByRole("button", { name: "Sell", exact: true }).first().getAttribute("aria-pressed"), "true");
});
