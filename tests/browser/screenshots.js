// Screenshots: each page as a trader sees it on a market with some hours of trading, wide and narrow, dark and light.
//
// A chart needs hours of trades, and nobody wants to wait for them. So the exchange first runs on a clock that starts some
// hours ago and goes fast until it has caught up (the program `faketime`); then it is restarted on the real clock, which
// is when browsers look at it. Without `faketime` the pictures are the same, but for a chart with fewer candles.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Exchange, NARROW, Person, WIDE, launch } from "./exchange.js";
import { Trader } from "./trader.js";

// How long there is trading before the first picture.
const MINUTES = Number(process.argv[2] ?? 4);
const HOURS_SHOWN = 2;
const SPEED = 1 + (HOURS_SHOWN * 60) / MINUTES;

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../docs/screenshots");
mkdirSync(folder, { recursive: true });
for (const name of readdirSync(folder)) rmSync(path.join(folder, name));

// Only the wall clock is fast: time-outs are measured by the monotonic one.
const fastClock = () => {
  const { stdout } = spawnSync("faketime", ["-f", "+0", "env"], { encoding: "utf8" });
  const library = stdout?.match(/^LD_PRELOAD=(.*)$/m)?.[1];
  return library && { LD_PRELOAD: library, FAKETIME: `-${HOURS_SHOWN * 60}m x${SPEED}`, FAKETIME_DONT_FAKE_MONOTONIC: "1" };
};
const environment = fastClock();
const exchange = await Exchange.start({ environment });
const browser = await launch();

const shoot = async ({ page }, name) => {
  await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)));
  const session = await page.context().newCDPSession(page);
  // A quarter of what it is as PNG.
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: 85 });
  writeFileSync(path.join(folder, `${name}.webp`), Buffer.from(data, "base64"));
  await session.detach();
};
const visit = async (person, route) => {
  await person.page.goto(exchange.url + route);
  await person.page.getByText("Live · batch").waitFor();
  await person.page.locator("main h1").waitFor();
  await person.page.waitForFunction(() => !document.querySelector(".skeleton"));
  await person.page.waitForTimeout(500);
};

// Numbers that look like chance and are the same each time.
let seed = 7;
const random = (below) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return (seed >>> 16) % below; // The low bits repeat too soon.
};

// A maker on both sides around a price that wanders, and takers of both sides. `market` remembers where the price is.
const market = { middle: 8000 };
const trade = async (minutes, step) => {
  market.maker ??= await Trader.arrive(exchange);
  market.taker ??= await Trader.arrive(exchange);
  const { maker, taker } = market;
  const end = Date.now() + minutes * 60_000;
  do {
    market.middle += random(2 * step + 1) - step + Math.round((8000 - market.middle) / 100);
    const at = (steps) => (market.middle + steps) / 4;
    const orders = [maker.sign("cancel_all", {})];
    // More is on offer further from the best price, as in any book.
    for (let level = 1; level <= 24; level += 1) {
      const size = () => (4 + random(14 + 2 * level)) / 100;
      orders.push(maker.order("sell", size(), at(level + random(2))));
      orders.push(maker.order("buy", size(), at(-level - random(2))));
    }
    await maker.execute(...orders);
    // As much is bought as sold, so that neither runs out of a token.
    const trades = [];
    for (const isFirst of [random(2) === 1, random(2) === 1]) {
      const quantity = (2 + random(30)) / 100;
      for (const isBuy of [isFirst, !isFirst]) {
        trades.push(taker.order(isBuy ? "buy" : "sell", quantity, at(isBuy ? 20 : -20), { timeInForce: "ioc" }));
      }
    }
    await taker.execute(...trades);
    await sleep(200);
  } while (Date.now() < end);
};

try {
  await trade(MINUTES - 0.1, 7);
  if (environment) {
    await exchange.terminate();
    await exchange.run();
  }
  await trade(0.1, 1);
  const { maker, middle } = { ...market, middle: market.middle / 4 };

  const newcomer = await Person.arrive(browser, exchange, { viewport: WIDE });
  await newcomer.page.waitForTimeout(1000);
  await shoot(newcomer, "first-visit");
  await newcomer.context.close();

  const alice = await Person.arrive(browser, exchange, { viewport: WIDE });
  const wallet = await alice.openWallet();
  await wallet.locator("#new-passphrase").waitFor();
  await shoot(alice, "wallet-first");
  await alice.closeWallet();
  await alice.createWallet();
  await alice.openWallet();
  await alice.page.waitForTimeout(500);
  await shoot(alice, "wallet");
  await alice.closeWallet();
  await alice.getTokens();
  const orders = [["Buy", "0.1", middle + 2.5], ["Sell", "1.2", middle + 4], ["Sell", "0.5", middle + 2], ["Buy", "0.8", middle - 3], ["Buy", "0.25", middle - 1.5]];
  for (const [side, quantity, price] of orders) {
    await alice.order(side, quantity, String(price));
    await alice.outcome("applied");
  }
  await alice.page.getByRole("button", { name: "1m", exact: true }).click();
  await alice.tab("Open orders");
  await alice.page.mouse.move(0, 0);
  await alice.page.waitForTimeout(7000); // Notices leave, and the figures of the header are new.
  await alice.fill("Buy", "0.5", String(middle + 1));
  await shoot(alice, "trading-dark");
  await alice.page.emulateMedia({ colorScheme: "light" });
  await alice.page.waitForTimeout(500);
  await shoot(alice, "trading-light");
  await alice.page.emulateMedia({ colorScheme: "dark" });
  await alice.page.locator("#order-form button[type=submit]").click();
  await alice.sheet.waitFor();
  await shoot(alice, "signing-sheet");
  await alice.sign();
  await alice.outcome("applied");
  await shoot(alice, "notices");
  await alice.page.getByRole("button", { name: "Settings" }).click();
  await shoot(alice, "settings");
  await alice.page.keyboard.press("Escape");
  await alice.page.keyboard.press("?");
  await alice.page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await shoot(alice, "shortcuts");
  await alice.page.keyboard.press("Escape");
  await alice.page.setViewportSize({ width: 2560, height: 1300 });
  await alice.page.waitForTimeout(500);
  await shoot(alice, "trading-2560");

  const bob = await Person.arrive(browser, exchange, { viewport: NARROW, colorScheme: "light" });
  await shoot(bob, "first-visit-narrow");
  await bob.createWallet();
  await bob.getTokens();
  await bob.order("Buy", "0.2", String(middle + 6));
  await bob.outcome("applied");
  await bob.page.getByRole("button", { name: "1m", exact: true }).click();
  await bob.page.waitForTimeout(7000);
  await bob.page.evaluate(() => scrollTo(0, 0));
  await shoot(bob, "trading-narrow");
  await bob.fill("Sell", "0.5", String(middle - 1));
  await shoot(bob, "order-narrow");

  const carol = await Person.arrive(browser, exchange, { viewport: WIDE });
  const { headers } = await exchange.get("/v1/headers?limit=100");
  const contents = await Promise.all(headers.map(({ index }) => exchange.get(`/v1/batches/${index}/contents`)));
  const busy = contents.find(({ elements }) => elements.some(({ hash }) => hash));
  const views = [
    ["batches", "/batches"],
    ["batch", `/batches/${busy.header.index}`],
    ["transaction", `/transactions/${busy.elements.find(({ hash }) => hash).hash}`],
    ["account", `/accounts/${maker.account}`],
    ["markets", "/markets"],
    ["market", "/markets/ETH-USDT"],
    ["replicas", "/replicas"],
  ];
  for (const [name, route] of views) {
    await visit(carol, route);
    await shoot(carol, name);
  }
  await carol.page.setViewportSize(NARROW);
  await visit(carol, views[1][1]);
  await shoot(carol, "batch-narrow");
} finally {
  await browser.close();
  await exchange.stop();
}
