// The explorer: following links, opening links from elsewhere, searching, going back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCount, NARROW, submit, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { isSound } from "./sound.js";
import { Trader } from "./trader.js";

let alice;
let transactions;

// All tests share one exchange with some history, because they only read.
const scene = Scene.ofFile(async ({ exchange }) => {
  alice = await scene.resident();
  for (const [side, quantity, price] of [["Sell", "2", "2000"], ["Buy", "1", "1990"]]) {
    await alice.order(side, quantity, price);
    await alice.outcome("applied");
  }
  const secret = "11".repeat(32);
  // The account of this key.
  const account = "034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa";
  const faucet = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ account }) };
  assert.equal((await fetch(`${exchange.url}/v1/faucet`, faucet)).status, 202);
  const body = { kind: "order", market: "ETH/USDT", side: "buy", time_in_force: "fok", self_trade: "cancel_newest" };
  // Nothing is for sale at this price, so the order is rejected.
  await submit(exchange, secret, { ...body, quantity: "1", price: "1995" });
  const bob = await scene.trader();
  await bob.order("Buy", "0.5", "2001");
  await bob.outcome("applied");
  const { headers } = await exchange.get("/v1/headers?limit=100");
  const batches = await Promise.all(headers.map(({ index }) => exchange.get(`/v1/batches/${index}/contents`)));
  transactions = batches.flatMap(({ header, elements }) => elements.map((element) => ({ ...element, batch: header.index })));
});
const heading = (page) => page.getByRole("heading", { level: 1 });
const search = async (person, text) => {
  const { page, isNarrow } = person;
  const field = page.getByLabel("Search for a batch, transaction, account or market");
  if (isNarrow && !(await field.isVisible())) await page.getByRole("button", { name: "Explore" }).click();
  await field.fill(text);
  await field.press("Enter");
};
const filled = () => transactions.find(({ kind, fields }) => kind === "order" && fields.some(([, value]) => value === "2001"));
const rejected = () => transactions.find(({ reject }) => reject);

test("links, back and forward change the view, its title and the focus", async () => {
  const person = await scene.arrive({ path: "/" });
  const { page } = person;
  const at = async (path, title) => {
    await page.waitForURL(scene.exchange.url + path);
    await page.waitForFunction((title) => document.title === title, title);
    await page.waitForFunction(() => document.activeElement === document.querySelector("h1"));
  };
  await page.getByRole("button", { name: "Explore" }).click();
  await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Batches" }).click();
  await at("/batches", "Batches · Zellbook");
  const { hash, batch } = filled();
  await page.getByRole("table").getByRole("link", { name: batch, exact: true }).first().click();
  await at(`/batches/${batch}`, `Batch ${batch} · Zellbook`);
  await page.locator(`a[href="/transactions/${hash}"]`).click();
  await at(`/transactions/${hash}`, `Transaction ${hash.slice(0, 8)}…${hash.slice(-6)} · Zellbook`);
  await page.goBack();
  await at(`/batches/${batch}`, `Batch ${batch} · Zellbook`);
  await page.getByRole("link", { name: "← Previous" }).click();
  await at(`/batches/${batch - 1}`, `Batch ${batch - 1} · Zellbook`);
  await page.goBack();
  await page.goBack();
  await at("/batches", "Batches · Zellbook");
  await page.goForward();
  await at(`/batches/${batch}`, `Batch ${batch} · Zellbook`);
  await page.getByRole("link", { name: "Zellbook" }).click();
  await page.waitForURL(`${scene.exchange.url}/`);
  await page.locator("#order-form").waitFor();
});

test("a batch shows its neighbours, its proof, its transactions and its trades", async () => {
  const { hash, batch } = filled();
  const whole = await scene.exchange.get(`/v1/batches/${batch}`);
  const person = await scene.arrive({ path: `/batches/${batch}` });
  const { page } = person;
  assert.equal(await heading(page).textContent(), `Batch ${batch}`);
  for (const text of [whole.root, whole.chaining_hash, whole.proof.signature]) await page.getByText(text).first().waitFor();
  await page.getByText("none (all nodes signed)").waitFor();
  const row = page.getByRole("row").filter({ has: page.locator(`a[href="/transactions/${hash}"]`) });
  assert.match(await row.textContent(), /order.*buy 0.5 ETH\/USDT at 2,001.*applied/);
  const trades = page.getByRole("table", { name: "Trades of this batch" });
  await trades.getByRole("row", { name: /ETH\/USDT Buy 2,000.00 0.5000/ }).waitFor();
  assert.equal(await page.getByRole("link", { name: /bytes \(JSON with proof\)/ }).getAttribute("href"), `/v1/batches/${batch}`);
});

test("a transaction shows its lifecycle, its signed message and its outcome", async () => {
  const { hash } = filled();
  const person = await scene.arrive({ path: `/transactions/${hash}` });
  const { page } = person;
  await page.locator(".steps .done").filter({ hasText: "applied" }).waitFor();
  assert.match(await page.locator("pre").first().textContent(), /^Zellbook 1 [0-9a-f]{64}\nkind: order\n[^]*\nprice: 2001\n/);
  await page.getByText("this page computed it from the message").waitFor();
  await page.getByRole("table", { name: "Fills as a taker" }).getByRole("row", { name: /ETH\/USDT 2,000.00 0.5000/ }).waitFor();
  await page.goto(`${scene.exchange.url}/transactions/${rejected().hash}`);
  await page.locator(".steps .bad").filter({ hasText: "rejected" }).waitFor();
  await page.getByText("this fill-or-kill order would fill only 0 of 1").waitFor();
  await page.getByText("Reject code 34 (cannot_fill).").waitFor();
});

test("a message changed by the replica does not match the hash, and the page says so", async () => {
  const { hash } = filled();
  const person = await scene.arrive({ path: "/" });
  const { page } = person;
  await page.route("**/signed", async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    await route.fulfill({ response: answer, json: { ...body, text: body.text.replace("price: 2001", "price: 2002") } });
  });
  await search(person, hash);
  await page.getByText("the message does not have this hash").waitFor();
});

test("an account shows balances, orders, fills and ledger, live", async () => {
  const person = await scene.arrive({ path: `/accounts/${alice.account}` });
  const { page } = person;
  const balances = page.getByRole("table", { name: "Balances" });
  await balances.getByRole("row", { name: "ETH 8 1.5" }).waitFor();
  const orders = page.getByRole("table", { name: "Open orders" });
  await orders.getByRole("row", { name: /ETH\/USDT Sell 2,000.00 2.0000 0.5000 open/ }).waitFor();
  await page.getByRole("table", { name: "Fills" }).getByRole("row", { name: /Sell 2,000.00 0.5000 maker 0 USDT/ }).waitFor();
  await page.getByRole("table", { name: "Ledger" }).getByRole("row", { name: /deposit ETH \+10 / }).waitFor();
  await page.getByText("No past orders").waitFor();
  await page.getByText("No trading keys").waitFor();
  // A new order appears without a reload.
  await alice.order("Sell", "0.25", "2100");
  await alice.outcome("applied");
  await orders.getByRole("row", { name: /ETH\/USDT Sell 2,100.00 0.2500 0.0000 open/ }).waitFor();
});

test("new batches appear by themselves, and the focused link keeps the focus", async () => {
  const person = await scene.arrive({ path: "/batches" });
  const { page } = person;
  const { batch } = await scene.exchange.get("/v1/status");
  const link = page.getByRole("table").getByRole("row").nth(1).getByRole("link").first();
  await link.focus();
  const focused = await link.getAttribute("href");
  await alice.order("Sell", "0.25", "2110");
  await alice.outcome("applied");
  await page.locator(`a[href="/batches/${Number(batch) + 1}"]`).first().waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), focused);
});

test("a market shows rules, statistics, book and trades, and links to trading", async () => {
  const person = await scene.arrive({ path: "/markets" });
  const { page } = person;
  await page.getByRole("table").getByRole("link", { name: "ETH/USDT" }).click();
  await page.waitForURL(`${scene.exchange.url}/markets/ETH-USDT`);
  await page.getByText("0.01 USDT").waitFor();
  await page.getByRole("table", { name: "Bids, best price first" }).getByRole("row", { name: /1,990.00 1.0000 1/ }).waitFor();
  await page.getByRole("table", { name: "Asks, best price first" }).getByRole("row", { name: /2,000.00 1.5000 1/ }).waitFor();
  await page.getByRole("table", { name: "Recent trades" }).getByRole("row", { name: /Buy 2,000.00 0.5000/ }).waitFor();
  await page.goto(`${scene.exchange.url}/markets/BTC-USDT`);
  await page.getByText("No trades yet.").waitFor();
  await page.getByRole("button", { name: "Trade" }).click();
  await page.locator("#order-form").waitFor();
  await page.getByRole("button", { name: "Market BTC/USDT" }).waitFor();
});

test("the replicas view shows attestations and the state of this replica", async () => {
  const person = await scene.arrive({ path: "/replicas" });
  const { page } = person;
  const { replicas } = await scene.exchange.get("/v1/replicas");
  const row = page.getByRole("table", { name: "Replicas named in genesis" }).getByRole("row").nth(1);
  assert.match(await row.textContent(), /this replica.*1 \(100\.0 %\)/);
  await hasCount(row.locator(`a[href="/accounts/${replicas[0].public_key}"]`), 1);
  await page.getByText("following the sequencer").waitFor();
  const { certified_root } = await scene.exchange.get("/v1/status");
  await page.getByText(certified_root).first().waitFor();
});

for (const viewport of [WIDE, NARROW]) {
  test(`the sequencer nodes show keys and stakes, and which of them signed the latest proof, ${viewport.width} px`, async () => {
    const person = await scene.arrive({ path: "/replicas", viewport });
    const { page } = person;
    const { nodes, threshold } = await scene.exchange.get("/v1/network");
    const [[id, node]] = Object.entries(nodes);
    const row = page.getByRole("table", { name: "Sequencer nodes" }).getByRole("row").nth(1);
    await row.filter({ hasText: "signed" }).waitFor();
    assert.equal(await row.locator("td").first().locator("[title]").getAttribute("title"), id);
    assert.match(await row.textContent(), new RegExp(`${node.stake}100\\.0 %`));
    await page.getByText(`at least ${threshold} % of the stake`).waitFor();
    await page.getByText(`${node.stake} of ${node.stake} stake (100.0 %) signed the batches up to`).waitFor();
    await page.getByText("Full IDs and keys").click();
    // Parsed as strings, because the integers are too large for JavaScript numbers.
    const { pubkeyG2_X: x } = JSON.parse((await (await fetch(`${scene.exchange.url}/v1/network`)).text()).replace(/([\[ ])(\d{30,})/g, '$1"$2"')).nodes[id];
    await page.getByRole("region", { name: "Full public keys" }).filter({ hasText: `x: [${x.join(", ")}]` }).waitFor();
  });
}

for (const viewport of [WIDE, NARROW]) {
  test(`search finds a batch, a transaction, an account and a market, and explains what it cannot find, ${viewport.width} px`, async () => {
    const person = await scene.arrive({ path: "/", viewport });
    const { page } = person;
    const { hash } = filled();
    const finds = [
      ["1", "/batches/1", "Batch 1"],
      [hash.toUpperCase(), `/transactions/${hash}`, "Transaction"],
      [alice.account, `/accounts/${alice.account}`, "Account"],
      ["eth-usdt", "/markets/ETH-USDT", "ETH/USDT"],
    ];
    for (const [text, path, title] of finds) {
      await search(person, text);
      await page.waitForURL(scene.exchange.url + path);
      await heading(page).filter({ hasText: title }).waitFor();
    }
    await search(person, "nonsense");
    await page.getByRole("alert").getByText("“nonsense” cannot be searched for").waitFor();
    assert.equal(new URL(page.url()).pathname, "/markets/ETH-USDT");
    // Valid input that this replica does not have: the view says so.
    await search(person, "999999");
    await page.getByRole("alert").getByText("this replica has no batch 999999; its last batch is").waitFor();
    await search(person, "ab".repeat(32));
    await page.getByRole("alert").getByText("this replica does not know this transaction").waitFor();
    await search(person, "DOGE/USDT");
    await page.getByRole("alert").getByText("There is no market DOGE/USDT").waitFor();
    await search(person, `02${"ff".repeat(32)}`);
    await page.getByRole("alert").getByText("invalid account").waitFor();
  });
}

test("a path that is not a view gives 404", async () => {
  for (const route of ["/batches/x", "/transactions/12", "/accounts", "/markets/eth", "/explorer", "/batches/1/2"]) {
    const answer = await fetch(scene.exchange.url + route);
    assert.equal(answer.status, 404, route);
    assert.equal((await answer.json()).error.code, "unknown_path");
  }
});

for (const viewport of [WIDE, NARROW]) {
  for (const colorScheme of ["dark", "light"]) {
    test(`every view is accessible and fits the window, ${viewport.width} px, ${colorScheme}`, async () => {
      const { batch, hash } = filled();
      const routes = ["/batches", `/batches/${batch}`, "/batches/999999", `/transactions/${hash}`, `/transactions/${rejected().hash}`, `/accounts/${alice.account}`, "/markets", "/markets/ETH-USDT", "/markets/BTC-USDT", "/replicas"];
      const person = await scene.arrive({ path: "/batches", viewport, colorScheme });
      const { page } = person;
      for (const route of routes) {
        await page.goto(scene.exchange.url + route);
        await heading(page).waitFor();
        await page.getByText("Live · batch").waitFor();
        await page.waitForFunction(() => !document.querySelector(".skeleton"));
        if (process.env.ZELLBOOK_SHOTS) {
          const name = `${route.slice(1, 20).replaceAll("/", "-")}-${viewport.width}-${colorScheme}`;
          await page.screenshot({ path: `${process.env.ZELLBOOK_SHOTS}/${name}.png`, fullPage: true });
        }
        await isSound(page, route);
        const [needed, there] = await page.evaluate(() => {
          const main = document.querySelector("main");
          return [Math.max(document.documentElement.scrollWidth, main.scrollWidth), document.documentElement.clientWidth];
        });
        assert.ok(needed <= there, `${route} needs ${needed} px`);
      }
    });
  }
}

// Last, because it changes what the other tests read.
test("new fills of an account appear by themselves", async () => {
  const person = await scene.arrive({ path: `/accounts/${alice.account}` });
  const fills = person.page.getByRole("table", { name: "Fills" });
  await fills.getByRole("row", { name: /Sell 2,000.00 0.5000 maker/ }).waitFor();
  const bob = await scene.trader();
  await bob.order("Buy", "0.3", "2001");
  await bob.outcome("applied");
  await fills.getByRole("row", { name: /Sell 2,000.00 0.3000 maker/ }).waitFor();
  await fills.getByRole("row", { name: /Sell 2,000.00 0.5000 maker/ }).waitFor();
});

test("all trades of a batch are shown page by page, and all fills of a transaction at once", async () => {
  const [maker, taker] = [await Trader.arrive(scene.exchange), await Trader.arrive(scene.exchange)];
  const prices = Array.from({ length: 60 }, (_, step) => (1991 + step / 100).toFixed(2).replace(/\.?0+$/, ""));
  await maker.execute(...prices.map((price) => maker.order("sell", 0.01, price)));
  const hash = await taker.submit(taker.order("buy", 0.6, 1992, { timeInForce: "ioc" }));
  await taker.applied(hash);
  const { batch } = await scene.exchange.get(`/v1/transactions/${hash}`);
  const person = await scene.arrive({ path: `/batches/${batch}` });
  const { page } = person;
  const rows = page.getByRole("table", { name: "Trades of this batch" }).locator("tbody tr");
  await page.getByText("1 to 50 of 60").waitFor();
  await hasCount(rows, 50);
  await page.getByRole("button", { name: "Next: trades" }).click();
  await page.getByText("51 to 60 of 60").waitFor();
  await hasCount(rows, 10);
  await rows.last().filter({ hasText: "1,991.59" }).waitFor();
  await page.getByRole("button", { name: "Previous: trades" }).click();
  await rows.first().filter({ hasText: "1,991.00" }).waitFor();
  await page.goto(`${scene.exchange.url}/transactions/${hash}`);
  await hasCount(page.getByRole("table", { name: "Fills as a taker" }).locator("tbody tr"), 60);
});

test("after a refresh that failed, trying again asks for the newest rows", async () => {
  const person = await scene.arrive({ path: `/accounts/${alice.account}` });
  const { page } = person;
  const isFills = (url) => url.pathname.endsWith("/fills");
  await page.getByRole("table", { name: "Fills" }).waitFor();
  const asked = [];
  // Each batch refreshes the page, so it fails until the button was seen.
  let fails = true;
  await page.route(isFills, (route) => {
    asked.push(new URL(route.request().url()).search);
    return fails ? route.abort() : route.continue();
  });
  await alice.order("Sell", "0.1", "2200");
  await alice.outcome("applied");
  await page.getByRole("button", { name: "Try again: fills" }).waitFor();
  fails = false;
  await page.getByRole("button", { name: "Try again: fills" }).click();
  await page.getByRole("button", { name: "Try again: fills" }).waitFor({ state: "hidden" });
  assert.ok(asked.length >= 2);
  assert.deepEqual(asked.filter((query) => query.includes("before")), []);

  // A page that cannot be read is not left out in silence.
  await page.unroute(isFills);
  await page.route(isFills, (route) => route.fulfill({ json: { fills: "none" } }));
  await alice.order("Sell", "0.1", "2201");
  await alice.outcome("applied");
  await page.getByText("The replica sent an answer that this page cannot read").waitFor();
  await page.unroute(isFills);
  await page.getByRole("button", { name: "Try again: fills" }).click();
  await page.getByRole("table", { name: "Fills" }).getByRole("row").nth(1).waitFor();
});
