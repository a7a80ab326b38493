// The page's checks of a replica's answers: they pass for an honest replica, and name the false part for a dishonest
// one.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { NARROW, WIDE } from "./exchange.js";
import { falsify, falsifyFeed } from "./lies.js";
import { Scene } from "./scene.js";
import { Trader } from "./trader.js";

let alice;
let order;

// All tests share one exchange with an order whose batch, or a later one, is certified.
const scene = Scene.ofFile(async ({ exchange }) => {
  alice = await scene.resident();
  await alice.order("Buy", "1", "1990");
  const line = await alice.outcome("applied");
  const href = await line.locator("a.hash").getAttribute("href");
  order = await exchange.get(`/v1${href}`);
  for (let attempt = 0; attempt < 20; attempt += 1) {
    if ((await exchange.get(`/v1/certified?from=${order.batch}`)).root) return;
    // A replica attests when it posts batches, at most once per second.
    await alice.page.waitForTimeout(1100);
    await alice.order("Buy", "0.1", "1980");
    await alice.outcome("applied");
  }
  throw new Error("no root is certified");
});
const sheet = (page) => page.getByRole("dialog", { name: /^Evidence for/ });
const steps = async (page) => {
  const all = await sheet(page).locator(".checks > li").all();
  const texts = all.map(async (step) => [await step.locator("h3").innerText(), await step.getAttribute("class")]);
  return (await Promise.all(texts)).map(([title, outcome]) => [title.split("\n").map((line) => line.trim()).filter((line) => /^[A-Z]/.test(line))[0], outcome]);
};
const verdict = (page) => sheet(page).locator(".verdict");
const concluded = (page) => verdict(page).filter({ hasNotText: "Checking" }).waitFor();

const checkTransaction = async (person) => {
  await person.page.getByRole("button", { name: "Check", exact: true }).click();
  await concluded(person.page);
};

for (const viewport of [WIDE, NARROW]) {
  test(`a transaction is checked from its message to the sequence proof of its batch, ${viewport.width} px`, async () => {
    const person = await scene.arrive({ path: `/transactions/${order.hash}`, viewport });
    const { page } = person;
    const parts = [];
    page.on("request", (request) => /verifier/.test(request.url()) && parts.push(request.url()));
    await page.getByRole("heading", { level: 1, name: "Transaction" }).waitFor();
    assert.deepEqual(parts, [], "the verifier is loaded only when it is needed");
    await checkTransaction(person);
    assert.equal(parts.length, 1);
    assert.equal(await verdict(page).innerText(), "All checks that this page can make have passed: this is sequenced. The step “Certified root” says what replicas have certified.");
    assert.deepEqual(await steps(page), [
      ["Network", "open"], ["Message and hash", "done"], ["Signature", "done"], ["Chain", "done"], ["Sequence proof", "done"],
      ["Node list", "open"], ["In the batch", "done"], ["Outcome", "open"], ["Certified root", "done"],
    ]);
    await page.keyboard.press("Escape");
    await sheet(page).waitFor({ state: "hidden" });
  });
}

const transactionOf = (body, change) => ({ ...body, element: body.element.replace(/"price":"1990"/, `"price":"${change}"`) });
const FALSE_ANSWERS = [
  ["a different price in the signed transaction", (url) => url.pathname.endsWith("/signed"),
    (text) => JSON.stringify(transactionOf(JSON.parse(text), "1991")), "Signature"],
  ["a different message beside the right transaction", (url) => url.pathname.endsWith("/signed"),
    (text) => text.replace("price: 1990", "price: 1991"), "Message and hash"],
  ["a message in a format that it does not have", (url) => url.pathname.endsWith("/signed"),
    (text) => JSON.stringify({ ...JSON.parse(text), scheme: "guide", text: "buy,ETH,USDT,1,1" }), "Message and hash"],
  ["a different signature beside the right transaction", (url) => url.pathname.endsWith("/signed"),
    (text) => JSON.stringify({ ...JSON.parse(text), signature: "00".repeat(65) }), "Signature"],
  ["a batch body with a different price", (url) => url.pathname === "/v1/batches",
    (text) => text.replace('\\"price\\":\\"1990\\"', '\\"price\\":\\"1991\\"'), "Chain"],
  ["a wrong position in the batch", (url) => url.pathname === `/v1/transactions/${order.hash}`,
    (text) => text.replace(/"position":"\d+"/, '"position":"7"'), "In the batch"],
  ["a proof with a different timestamp", (url) => url.pathname.endsWith("/contents"),
    (text) => text.replace(/"timestamp":"(\d+)"/, (_, time) => `"timestamp":"${Number(time) + 1}"`), "Sequence proof"],
  ["the nodes of another app", (url) => url.pathname === "/v1/network",
    (text) => text.replace('"app_name":"', '"app_name":"other-'), "Sequence proof"],
  ["a certified root that the attestations do not sign", (url) => url.pathname === "/v1/certified",
    (text) => text.replace(/"root":"([0-9a-f]{64})"/, (_, root) => `"root":"${root.slice(0, -1)}${root.endsWith("0") ? "1" : "0"}"`), "Certified root"],
];
for (const [name, where, change, title] of FALSE_ANSWERS) {
  test(`a dishonest replica is detected: ${name}`, async () => {
    const person = await scene.arrive({ path: `/transactions/${order.hash}` });
    const { page } = person;
    await page.getByRole("heading", { level: 1, name: "Transaction" }).waitFor();
    const changed = await falsify(page, where, change);
    await checkTransaction(person);
    assert.ok(changed() > 0, "at least one answer was changed");
    assert.match(await verdict(page).innerText(), /At least one check failed/);
    const failed = (await steps(page)).filter(([, outcome]) => outcome === "bad").map(([title]) => title);
    assert.ok(failed.includes(title), failed.join());
  });
}

test("balances are checked against the state root, and a changed balance is detected", async () => {
  const person = await scene.arrive({ path: `/accounts/${alice.account}` });
  const { page } = person;
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await concluded(page);
  assert.match(await verdict(page).innerText(), /All checks/);
  const titles = (await steps(page)).filter(([, outcome]) => outcome === "done").map(([title]) => title);
  assert.ok(titles.filter((title) => title === "Balance").length >= 2, titles.join());
  await page.route((url) => url.pathname === `/v1/accounts/${alice.account}`, async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    body.balances[0].available = "1000000";
    await route.fulfill({ response: answer, json: body });
  });
  await sheet(page).getByRole("button", { name: "Check again" }).click();
  await verdict(page).filter({ hasText: "At least one check failed" }).waitFor();
  assert.ok((await steps(page)).some(([title, outcome]) => title === "Balance" && outcome === "bad"));
});

test("open orders are checked against the state root", async () => {
  const person = await scene.arrive({ path: `/accounts/${alice.account}` });
  const { page } = person;
  const { open_orders } = await scene.exchange.get(`/v1/accounts/${alice.account}`);
  await page.getByRole("button", { name: "Check open orders" }).click();
  await concluded(page);
  assert.match(await verdict(page).innerText(), /All checks/);
  const titles = (await steps(page)).filter(([, outcome]) => outcome === "done").map(([title]) => title);
  assert.equal(titles.filter((title) => title === "Order").length, open_orders.length);
  await sheet(page).getByText("The root commits to order #1: buy, 1 of 1 open at 1990 on ETH/USDT.").waitFor();
});

const flipped = (text, field) => text.replace(new RegExp(`"${field}":"([0-9a-f]*)([0-9a-f])"`), (_, head, last) => `"${field}":"${head}${last === "0" ? "1" : "0"}"`);
const ofOrder = (url) => url.pathname.endsWith("/orders/1/proof");
const shownOrder = (change) => (text) => {
  const body = JSON.parse(text);
  Object.assign(body.open_orders.find(({ id }) => id === "1"), change);
  return JSON.stringify(body);
};
const ofAccount = (url) => url.pathname === `/v1/accounts/${alice.account}`;
for (const [name, where, change] of [
  ["a different leaf", ofOrder, (text) => flipped(text, "value")],
  ["a missing leaf", ofOrder, (text) => text.replace(/"value":"[0-9a-f]*"/, '"value":null')],
  ["a different proof", ofOrder, (text) => flipped(text, "proof")],
  ["a different root", ofOrder, (text) => flipped(text, "root")],
  ["a different price in the list", ofAccount, shownOrder({ price: "1991" })],
  ["a larger open quantity in the list", ofAccount, shownOrder({ remaining: "2" })],
  ["a filled part in the list", ofAccount, shownOrder({ filled: "0.5" })],
  ["the other side in the list", ofAccount, shownOrder({ side: "sell" })],
  ["a different transaction in the list", ofAccount, shownOrder({ hash: "0".repeat(64) })],
  ["an order that does not exist", ofAccount, shownOrder({ id: "999999" })],
]) {
  test(`a false open order is detected: ${name}`, async () => {
    const person = await scene.arrive({ path: `/accounts/${alice.account}` });
    const { page } = person;
    await page.getByRole("button", { name: "Check open orders" }).waitFor();
    const changed = await falsify(page, where, change);
    await page.getByRole("button", { name: "Check open orders" }).click();
    await concluded(page);
    assert.ok(changed() > 0, "at least one answer was changed");
    assert.match(await verdict(page).innerText(), /At least one check failed/);
    assert.ok((await steps(page)).some(([title, outcome]) => title === "Order" && outcome === "bad"));
  });
}

test("the latest batch, balances and open orders show how they are known, and new data is unchecked again", async () => {
  const { page } = alice;
  const mark = (of) => page.getByRole("button", { name: new RegExp(`^${of}: `) });
  const reported = "this replica (not checked here)";
  // Without signatures of the replicas, a root is only what this replica says.
  const checked = /consistent with this replica’s state root \(not certified\)|certified by replicas \(checked in this browser\)/;
  for (const [of, before, after] of [["Latest batch", "Verify", /Sequenced|Certified/], ["Balances", reported, checked], ["Open orders", reported, checked]]) {
    if (of !== "Latest batch") await alice.tab(of);
    assert.equal(await mark(of).innerText(), before);
    await page.getByRole("button", { name: `${of}: reported. ${before}`, exact: true }).waitFor();
    await mark(of).click();
    await concluded(page);
    await page.keyboard.press("Escape");
    await mark(of).filter({ hasText: after }).waitFor();
    await page.getByRole("button", { name: new RegExp(`^${of}: (${of === "Latest batch" ? "sequenced" : "consistent"}|certified)\\. `) }).waitFor();
  }
  await alice.order("Buy", "0.1", "1970");
  await alice.outcome("applied");
  await mark("Latest batch").filter({ hasText: /^Verify$/ }).waitFor();
  await alice.tab("Balances");
  await mark("Balances").filter({ hasText: reported }).waitFor();
  await alice.tab("Open orders");
  await mark("Open orders").filter({ hasText: reported }).waitFor();
});

// The lies below are whole: each answer fits the others, and only the evidence is missing.

test("a transaction that was never sequenced is not called sequenced by the proof of an earlier batch", async () => {
  const { exchange } = scene;
  const trader = await Trader.arrive(exchange);
  const element = JSON.stringify(trader.order("buy", 1, 1234));
  const { kind, account, scheme, signature, ...fields } = JSON.parse(element);
  const values = Object.entries({ kind, account, ...fields }).map(([name, value]) => `${name}: ${value}`);
  const text = [`Zellbook 1 ${trader.network}`, ...values].join("\n");
  const hash = createHash("sha256").update(text).digest("hex");
  const { batch } = await exchange.get("/v1/status");
  const contents = await exchange.get(`/v1/batches/${batch}/contents?limit=1`);
  const { chaining_hash } = await exchange.get(`/v1/batches/${batch}`);
  const next = String(Number(batch) + 1);
  const answers = {
    [`/v1/transactions/${hash}/signed`]: { hash, text, scheme, signature, signer: account, element },
    [`/v1/transactions/${hash}`]: { ...(await exchange.get(`/v1/transactions/${order.hash}`)), hash, batch: next, position: "0" },
    [`/v1/batches/${next}/contents`]: { ...contents, previous_chaining_hash: chaining_hash },
  };
  const person = await scene.arrive();
  const { page } = person;
  await page.route((url) => url.pathname in answers, (route) => route.fulfill({ json: answers[new URL(route.request().url()).pathname] }));
  await page.goto(`${exchange.url}/transactions/${hash}`);
  await page.getByRole("heading", { level: 1, name: "Transaction" }).waitFor();
  await checkTransaction(person);
  assert.match(await verdict(page).innerText(), /At least one check failed/);
  const found = Object.fromEntries(await steps(page));
  assert.equal(found["Message and hash"], "done", "its owner has signed it");
  assert.deepEqual([found.Chain, found["In the batch"]], ["bad", "bad"]);
});

test("numbers that the feed alone falsifies are not called checked", async () => {
  // The same account in another browser.
  const person = await scene.arrive();
  const { page } = person;
  await person.importKey(alice.words.join(" "));
  await falsifyFeed(page, "account", ({ balances, open_orders: orders }) => {
    if (balances?.[0]) balances[0].available = "1000000";
    if (orders?.[0]) orders[0].quantity = "77";
  });
  await page.reload();
  for (const [of, wrong] of [["Balances", /^1,000,000$/], ["Open orders", /^77\.0/]]) {
    await person.tab(of);
    await page.getByRole("cell", { name: wrong }).first().waitFor();
    await page.getByRole("button", { name: new RegExp(`^${of}: `) }).click();
    await concluded(page);
    const [, outcome] = (await steps(page)).find(([title]) => title === "Numbers on this page");
    assert.notEqual(outcome, "done");
    assert.doesNotMatch(await verdict(page).innerText(), /All checks/);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: new RegExp(`^${of}: (reported|false)\\. `) }).waitFor();
  }
});

for (const [name, change] of [
  ["none", () => []],
  ["one less", (balances) => balances.slice(1)],
  ["one twice", (balances) => [...balances, balances[0]]],
]) {
  test(`a list of balances without each token once is detected: ${name}`, async () => {
    const person = await scene.arrive({ path: `/accounts/${alice.account}` });
    const { page } = person;
    await page.getByRole("table", { name: "Balances" }).waitFor();
    const changed = await falsify(page, ofAccount, (text) => {
      const body = JSON.parse(text);
      return JSON.stringify({ ...body, balances: change(body.balances) });
    });
    await page.getByRole("button", { name: "Check", exact: true }).click();
    await concluded(page);
    assert.ok(changed() > 0, "at least one answer was changed");
    assert.match(await verdict(page).innerText(), /At least one check failed/);
    assert.ok((await steps(page)).some(([title, outcome]) => title === "Tokens" && outcome === "bad"));
  });
}

test("a root of the latest batch that the certified one contradicts is detected, and one that nobody certified is not called certified", async () => {
  const { exchange } = scene;
  const certified = await exchange.get(`/v1/certified?from=${order.batch}`);
  const { page } = await scene.arrive();
  const mark = page.getByRole("button", { name: /^Latest batch: / });
  const say = async (change) => {
    await page.unrouteAll();
    await falsify(page, (url) => url.pathname === "/v1/status", (text) => JSON.stringify({ ...JSON.parse(text), ...change }));
    await mark.click();
    await concluded(page);
    const found = Object.fromEntries(await steps(page));
    const words = await verdict(page).innerText();
    await page.keyboard.press("Escape");
    return [found, words];
  };
  const ofBatch = { batch: certified.batch, certified_batch: certified.batch, certified_root: certified.root };
  const [honest] = await say({ ...ofBatch, root: certified.root });
  assert.equal(honest["Certified root"], "done");
  const [found, words] = await say({ ...ofBatch, root: "77".repeat(32) });
  assert.equal(found["Certified root"], "bad");
  assert.match(words, /At least one check failed/);

  await say({ certified_batch: null, certified_root: null });
  await mark.filter({ hasText: /^Sequenced$/ }).waitFor();
});

test("the explorer compares a message with the hash in its path, and not with one that the replica sends", async () => {
  const { page } = await scene.arrive({ path: "/batches" });
  const text = "Zellbook 1 another message";
  const hash = createHash("sha256").update(text).digest("hex");
  const changed = await falsify(page, (url) => url.pathname.endsWith("/signed"), (body) => JSON.stringify({ ...JSON.parse(body), text, hash }));
  const search = page.getByLabel("Search for a batch, transaction, account or market");
  await search.fill(order.hash);
  await search.press("Enter");
  await page.getByText("the message does not have this hash").waitFor();
  assert.ok(changed() > 0);
});

test("nodes without stake do not count among those that signed", async () => {
  const person = await scene.arrive({ path: `/transactions/${order.hash}` });
  const { page } = person;
  await page.getByRole("heading", { level: 1, name: "Transaction" }).waitFor();
  const { nodes } = await scene.exchange.get("/v1/network");
  const count = Object.keys(nodes).length;
  const changed = await falsify(page, (url) => url.pathname === "/v1/network", (text) => {
    // As text, because the coordinates of keys are larger than the numbers of JavaScript.
    const [, id, node] = /"nodes":\{\s*"([^"]+)":\s*(\{[^}]*\})/.exec(text);
    const other = node.replaceAll(id, "idle").replace(/"stake":\s*[0-9.]+/, '"stake":0');
    return text.replace(/"nodes":\{/, `"nodes":{"idle":${other},`);
  });
  await checkTransaction(person);
  assert.ok(changed() > 0);
  await sheet(page).getByText(`${count} of ${count} nodes with stake signed`).waitFor();
});
