// Values that no honest replica sends, or that anybody may write into the state: the page shows what it can, and goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { falsify, falsifyFeed } from "./lies.js";
import { Scene } from "./scene.js";
import { Trader } from "./trader.js";

const scene = Scene.ofFile();
const FOREVER = String(2n ** 64n - 1n);
// The page still follows the feed: something new of the replica arrives on it.
const isAlive = async ({ page }, trader) => {
  const shown = () => page.locator("a.replica").innerText();
  const before = await shown();
  await trader.execute(trader.order("buy", "0.01", 1000));
  await page.waitForFunction((before) => document.querySelector("a.replica").innerText !== before, before);
};

test("an expiry after the last date that a browser knows breaks no view", async () => {
  const trader = await Trader.arrive(scene.exchange);
  const other = await Trader.arrive(scene.exchange);
  await trader.execute(trader.sign("authorize_key", { key: other.account, expires: FOREVER }));
  const person = await scene.arrive({ path: `/accounts/${trader.account}` });
  await person.page.getByRole("table", { name: "Trading keys" }).getByText(FOREVER).first().waitFor();
  await isAlive(person, trader);
});

test("a book at the highest price there is breaks neither ladder nor depth", async () => {
  const trader = await Trader.arrive(scene.exchange);
  const person = await scene.arrive();
  const { page } = person;
  // The tick size is 0.01, so this is the last of the 2^64 prices.
  const price = "184467440737095516.15";
  await falsifyFeed(page, "book", (data) => Object.assign(data, { bids: [], asks: [[price, "1", "1"]] }));
  await page.reload();
  await page.getByRole("tab", { name: "Depth" }).click();
  await page.locator(".depth-chart path.asks").waitFor({ state: "attached" });
  await page.locator(".book .asks").getByText("184,467,440,737,095,516.15").waitFor();
  await isAlive(person, trader);
});

test("own orders whose sum no number holds break neither ladder nor form", async () => {
  const trader = await Trader.arrive(scene.exchange);
  const person = await scene.trader();
  const { page } = person;
  for (const price of ["1500", "1501"]) {
    await person.order("Buy", "1", price);
    await person.outcome("applied");
  }
  const remaining = "30000000000000000000000000000000000";
  await falsifyFeed(page, "account", ({ open_orders: orders }) => orders?.forEach((order) => Object.assign(order, { price: "1500", remaining })));
  await page.reload();
  await page.locator(".book .bids tr.mine").first().waitFor();
  await person.fill("Sell", "1", "1500");
  await isAlive(person, trader);
});

test("a replica without the list of markets does not keep those of genesis from being shown", async () => {
  const person = await scene.trader();
  const { page } = person;
  await page.route("**/v1/markets", (route) => route.abort());
  await page.reload();
  await page.getByRole("button", { name: "Market ETH/USDT, change market" }).waitFor();
  await page.locator(".spread").getByText("Spread").waitFor();
});

test("a list of markets that comes after genesis does not take its place", async () => {
  const person = await scene.trader();
  const { page } = person;
  const held = [];
  await page.route("**/v1/markets", (route) => held.push(route));
  await page.reload();
  await page.getByRole("button", { name: "Market ETH/USDT, change market" }).waitFor();
  const changed = await falsify(page, "**/v1/markets", (text) => text.replaceAll("ETH/USDT", "BTC/ETH").replaceAll('"0.01"', '"0.5"'));
  for (const route of held) {
    const answer = await route.fetch();
    const text = await answer.text();
    await route.fulfill({ response: answer, body: text.replaceAll('"tick_size":"0.01"', '"tick_size":"0.5"') });
  }
  await page.waitForResponse("**/v1/markets");
  await page.waitForResponse("**/v1/markets");
  assert.ok(changed() > 0);
  await page.getByLabel("Group prices by").getByRole("option", { name: "0.01", exact: true }).waitFor({ state: "attached" });
});

test("a file of entries that a replica repeats without end is refused", async () => {
  const person = await scene.trader();
  const { page } = person;
  const entry = (number) => ({ number: String(number), kind: "deposit", token: "ETH", amount: "1", with: person.account, reference: null, batch: "1", position: "0", time_ms: "1795346192526" });
  const entries = Array.from({ length: 200 }, (_, index) => entry(1000 - index));
  await person.tab("Ledger");
  await page.getByRole("button", { name: "Export CSV" }).waitFor();
  const asked = [];
  await page.route("**/ledger?limit=200*", async (route) => {
    asked.push(route.request().url());
    const answer = await route.fetch();
    const { entries: real, ...rest } = await answer.json();
    const like = entries.map((entry) => ({ ...real[0], number: entry.number }));
    await route.fulfill({ response: answer, json: { ...rest, entries: like } });
  });
  await page.getByRole("button", { name: "Export CSV" }).click();
  await page.getByText("The replica sent the same entries again").waitFor();
  assert.equal(asked.length, 2);
});
