// Live data: missing messages, many messages at once, and broken connections.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Scene } from "./scene.js";
import { Trader } from "./trader.js";

let trader;
const scene = Scene.ofFile(async ({ exchange }) => {
  trader = await Trader.arrive(exchange);
});
afterEach(() => trader.execute(trader.sign("cancel_all", {})));

// A person whose messages from the replica pass through `pass`; the page receives what it returns.
// `asked` lists the messages that the page sent, for each of its connections.
const arrive = async (pass = (message) => [message]) => {
  const asked = [];
  const browser = {
    newContext: async (options) => {
      const context = await scene.browser.newContext(options);
      await context.routeWebSocket("**/v1/ws", (page) => {
        const replica = page.connectToServer();
        asked.push([]);
        page.onMessage((text) => {
          asked.at(-1).push(JSON.parse(text));
          replica.send(text);
        });
        replica.onMessage((text) => {
          for (const message of pass(JSON.parse(text))) page.send(JSON.stringify(message));
        });
      });
      return context;
    },
  };
  const person = await scene.arrive({ browser });
  return Object.assign(person, { asked });
};
const asks = async ({ page }) => page.locator(".book .asks tr .price").allTextContents();
// The best ask is the last row, next to the spread.
const bestAsk = (person, price) =>
  person.page.waitForFunction((price) => [...document.querySelectorAll(".book .asks tr .price")].at(-1)?.textContent.includes(price), price);

test("a channel with a missing message resubscribes on the same connection, and other channels continue", async () => {
  let isLost = false;
  let lost = 0;
  const person = await arrive((message) => {
    if (!isLost || message.channel !== "book") return [message];
    isLost = false;
    lost += 1;
    return [];
  });
  await trader.execute(trader.order("sell", 1, 2000));
  await bestAsk(person, "2,000.00");
  isLost = true;
  await trader.execute(trader.order("sell", 1, 1990));
  await trader.execute(trader.order("sell", 1, 1980));
  await bestAsk(person, "1,980.00");
  assert.equal(lost, 1);
  assert.deepEqual(await asks(person), ["2,000.00", "1,990.00", "1,980.00"], "what was missed is there");
  assert.equal(person.asked.length, 1, "one connection");
  const [messages] = person.asked;
  const count = (op, channel) => messages.filter((message) => message.op === op && message.channel === channel).length;
  assert.deepEqual([count("subscribe", "book"), count("unsubscribe", "book")], [2, 1]);
  assert.deepEqual([count("subscribe", "trades"), count("unsubscribe", "trades"), count("subscribe", "status")], [1, 0, 1]);
});

test("messages of another market and unknown messages are ignored", async () => {
  const stray = { type: "snapshot", number: "0", channel: "book", data: { market: "BTC/USDT", batch: "9", bids: [["1", "1", "1"]], asks: [["2", "1", "1"]] } };
  const person = await arrive((message) => (message.channel === "book" ? [message, stray, { type: "news" }] : [message]));
  await trader.execute(trader.order("sell", 1, 2000));
  await bestAsk(person, "2,000.00");
  assert.deepEqual(await asks(person), ["2,000.00"]);
});

test("all changes between two frames are shown at once", async () => {
  const held = [];
  let isHeld = false;
  const person = await arrive((message) => {
    if (message.channel !== "book" || !isHeld) return [message];
    held.push(message);
    return held.length < 8 ? [] : held.splice(0);
  });
  await trader.execute(trader.order("sell", 1, 2100));
  await bestAsk(person, "2,100.00");
  // Holds back animation frames, and records each state that the book shows.
  await person.page.evaluate(() => {
    const waiting = [];
    const now = globalThis.requestAnimationFrame;
    globalThis.requestAnimationFrame = (call) => waiting.push(call);
    globalThis.letGo = () => {
      globalThis.requestAnimationFrame = now;
      waiting.forEach((call) => now(call));
    };
    globalThis.states = [];
    const draw = () => {
      const shown = [...document.querySelectorAll(".book .asks tr .price")].at(-1)?.textContent ?? "";
      if (globalThis.states.at(-1) !== shown) globalThis.states.push(shown);
    };
    new MutationObserver(draw).observe(document.querySelector(".book-panel"), { subtree: true, childList: true, characterData: true });
  });
  isHeld = true;
  for (let step = 1; step <= 8; step += 1) await trader.execute(trader.order("sell", 1, 2100 - step));
  await person.page.waitForTimeout(1000);
  assert.deepEqual(await person.page.evaluate(() => globalThis.states), [], "nothing is shown before the frame");
  await person.page.evaluate(() => globalThis.letGo());
  await bestAsk(person, "2,092.00");
  assert.deepEqual((await person.page.evaluate(() => globalThis.states)).map((text) => text.trim()), ["2,092.00"]);
});

test("without its replica the page says so, marks its data as stale, and still signs orders", async () => {
  const alice = await arrive();
  await alice.createWallet();
  await alice.getTokens();
  await trader.execute(trader.order("sell", 1, 2000));
  await bestAsk(alice, "2,000.00");
  await scene.exchange.kill();
  const banner = alice.page.getByRole("alert").filter({ hasText: "Connection to the replica lost" });
  await banner.waitFor();
  assert.equal(await alice.page.locator("main").evaluate((main) => main.classList.contains("stale")), true);
  assert.deepEqual(await asks(alice), ["2,000.00"]);
  await alice.order("Buy", "0.5", "2000");
  await scene.exchange.run();
  await banner.waitFor({ state: "hidden" });
  await alice.outcome("applied");
  await alice.page.waitForFunction(() => !document.querySelector("main").classList.contains("stale"));
});

test("a replica that is behind, without a sequencer, or halted is shown as such", async () => {
  let change = {};
  const person = await arrive((message) => [message.channel === "status" ? { ...message, data: { ...message.data, ...change } } : message]);
  const { page } = person;
  const isStale = () => page.locator("main").evaluate((main) => main.classList.contains("stale"));
  const states = [
    [{ lag_batches: "12" }, "12 batches behind", "Behind", false],
    [{ state: "disconnected", reason: "nobody answers" }, "cannot follow the sequencer: nobody answers", "No sequencer", false],
    [{ state: "halted", reason: "another root is certified" }, "has halted: another root is certified", "Halted", true],
  ];
  for (const [next, text, word, stale] of states) {
    change = next;
    // The replica sends its status with each commit.
    await trader.execute(trader.order("sell", 0.1, 2500));
    await page.getByRole("alert").getByText(text).waitFor();
    await page.locator(".replica").getByText(word).waitFor();
    assert.equal(await isStale(), stale);
  }
  change = {};
  await trader.execute(trader.order("sell", 0.1, 2500));
  await page.getByRole("alert").waitFor({ state: "hidden" });
  assert.equal(await isStale(), false);
});

test("without a network connection the page says so at once, and recovers with it", async () => {
  const person = await arrive();
  const banner = person.page.getByRole("alert").getByText("Connection to the replica lost");
  await person.context.setOffline(true);
  await banner.waitFor();
  await person.context.setOffline(false);
  await banner.waitFor({ state: "hidden" });
});

test("a replica that shuts down says why, and the page reconnects by itself", async () => {
  const person = await arrive();
  await scene.exchange.terminate();
  await person.page.getByRole("alert").getByText("this replica is stopping").waitFor();
  await scene.exchange.run();
  await person.page.getByRole("alert").waitFor({ state: "hidden" });
  await person.page.getByText("Live · batch").waitFor();
});
