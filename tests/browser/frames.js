// Measures the page in a busy market: programs change the order book more than a hundred times per second, and the
// browser's trace tells how long frames and scripts took. Run it with `cargo xtask bench page`.
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Exchange, Person, WIDE, launch } from "./exchange.js";
import { Trader } from "./trader.js";

const SECONDS = Number(process.argv[2] ?? 20);
// Each turn places and cancels this many orders.
const [TURN_MS, ORDERS] = [80, 8];
const FRAME_MS = 1000 / 60;
// The events of Chromium's trace that run scripts.
const SCRIPTS = ["EvaluateScript", "EventDispatch", "FireAnimationFrame", "FunctionCall", "RunMicrotasks", "TimerFire", "v8.callFunction"];

const exchange = await Exchange.start();
const browser = await launch();
let isOver = false;

// Keeps quoting: an order lives for some turns, and in every eighth turn `take` fills the best price.
const quote = async (side, sign) => {
  const trader = await Trader.arrive(exchange);
  const open = [];
  let count = 0;
  while (!isOver) {
    const turn = sleep(TURN_MS);
    const transactions = [];
    for (let order = 0; order < ORDERS; order += 1) {
      const clientId = `quote-${count}`;
      // Within forty steps of the mid price, in the visible part of the book.
      const price = 2000 + sign * (1 + ((count * 7919) % 40)) * 0.25;
      const quantity = (5 + ((count * 104_729) % 90)) / 1000;
      transactions.push(trader.order(side, quantity, price, { clientId, timeInForce: "post_only" }));
      open.push(clientId);
      count += 1;
    }
    while (open.length > 120) transactions.push(trader.cancel(open.shift()));
    await trader.submit(...transactions);
    await turn;
  }
};
const take = async () => {
  const trader = await Trader.arrive(exchange);
  for (let turn = 0; !isOver; turn += 1) {
    const [side, price] = turn % 2 ? ["buy", 2020] : ["sell", 1980];
    await trader.submit(trader.order(side, 0.01, price, { timeInForce: "ioc" }));
    await sleep(8 * TURN_MS);
  }
};

const share = (values, part) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];
const print = (name, values, unit = "ms") => {
  const [median, p95, p99] = [0.5, 0.95, 0.99].map((part) => share(values, part).toFixed(2));
  console.log(`${name}: median ${median} ${unit}, 95 % ${p95}, 99 % ${p99}, most ${Math.max(...values).toFixed(2)}`);
};

// The script time of each frame, from the trace events of the page's main thread.
const scriptTimes = (events) => {
  const begins = events.filter(({ name, ph }) => name === "AnimationFrame" && ph === "b");
  const threadOf = ({ pid, tid }) => `${pid}:${tid}`;
  const threads = [...new Set(begins.map(threadOf))];
  const framesOf = (thread) => begins.filter((begin) => threadOf(begin) === thread);
  // The page's main thread is the one with the most frames.
  const thread = threads.sort((a, b) => framesOf(b).length - framesOf(a).length)[0];
  const frames = framesOf(thread);
  const runs = events
    .filter((event) => event.ph === "X" && threadOf(event) === thread && SCRIPTS.includes(event.name))
    .map(({ ts, dur }) => [ts, ts + dur])
    .sort((a, b) => a[0] - b[0]);
  // Nested runs count once.
  const whole = [];
  for (const [begin, end] of runs) {
    const last = whole.at(-1);
    if (last && begin < last[1]) last[1] = Math.max(last[1], end);
    else whole.push([begin, end]);
  }
  const times = [];
  let at = 0;
  const starts = frames.map(({ ts }) => ts).sort((a, b) => a - b);
  for (let frame = 0; frame + 1 < starts.length; frame += 1) {
    let time = 0;
    while (at < whole.length && whole[at][0] < starts[frame + 1]) {
      if (whole[at][0] >= starts[frame]) time += whole[at][1] - whole[at][0];
      at += 1;
    }
    times.push(time / 1000);
  }
  return times;
};

try {
  let [changes, levels, isCounting] = [0, 0, false];
  const count = ({ payload }) => {
    const message = isCounting && JSON.parse(payload);
    if (!message || message.channel !== "book" || message.type !== "change") return;
    changes += 1;
    levels += message.data.bids.length + message.data.asks.length;
  };
  const counted = {
    newContext: async (options) => {
      const context = await browser.newContext(options);
      context.on("page", (page) => page.on("websocket", (socket) => socket.on("framereceived", count)));
      return context;
    },
  };
  const person = await Person.arrive(counted, exchange, { viewport: WIDE });
  const { page } = person;
  await person.createWallet();
  await person.getTokens();
  await person.order("Sell", "0.5", "2004");
  await person.outcome("applied");
  // The filled-in form recomputes its preview with each change of the book.
  await person.fill("Buy", "0.5", "2003");
  const programs = [quote("sell", 1), quote("buy", -1), take()];
  await sleep(6000);

  await browser.startTracing(page, { categories: ["devtools.timeline", "disabled-by-default-devtools.timeline"] });
  isCounting = true;
  const before = loadavg()[0];
  const stamps = await page.evaluate((seconds) => new Promise((resolve) => {
    const stamps = [];
    const frame = (now) => {
      stamps.push(now);
      if (now - stamps[0] < seconds * 1000) requestAnimationFrame(frame);
      else resolve(stamps);
    };
    requestAnimationFrame(frame);
  }), SECONDS);
  isCounting = false;
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  isOver = true;
  await Promise.all(programs);

  const seconds = (stamps.at(-1) - stamps[0]) / 1000;
  const intervals = stamps.slice(1).map((stamp, index) => stamp - stamps[index]);
  const late = intervals.filter((interval) => interval > 1.5 * FRAME_MS).length;
  console.log(`${(levels / seconds).toFixed(0)} changed levels a second in ${(changes / seconds).toFixed(1)} messages, over ${seconds.toFixed(0)} s, load of the machine ${before.toFixed(1)}`);
  console.log(`${(intervals.length / seconds).toFixed(1)} frames a second, ${((100 * late) / intervals.length).toFixed(2)} % of them later than ${(1.5 * FRAME_MS).toFixed(1)} ms`);
  print("from frame to frame", intervals);
  print("scripts in a frame", scriptTimes(traceEvents));
} finally {
  isOver = true;
  await browser.close();
  await exchange.stop();
}
