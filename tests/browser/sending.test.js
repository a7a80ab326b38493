// What became of a signed transaction: only the replica's own refusal or an outcome ends it, whatever a proxy answers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Scene } from "./scene.js";

const scene = Scene.ofFile();
const POST = (url) => url.pathname === "/v1/transactions";
const OWN_ERROR = (code, message) => JSON.stringify({ error: { code, message, details: {} } });

// Answers the first submission with `answer`, after the replica has had it if `reaches`, and passes on all others. The
// returned list has the bodies of all submissions.
const answerFirst = async (page, answer, reaches) => {
  const sent = [];
  await page.route(POST, async (route) => {
    sent.push(route.request().postData());
    if (sent.length > 1) return route.continue();
    if (reaches) await route.fetch();
    return answer === "cut" ? route.abort("connectionreset") : route.fulfill(answer);
  });
  return sent;
};
const newest = (page) => page.locator(".sent > li").first();
const opened = async (person) => (await scene.exchange.get(`/v1/accounts/${person.account}`)).open_orders.length;

for (const [name, answer, reaches] of [
  ["its own 503 while its outbox is full", { status: 503, headers: { "retry-after": "1" }, body: OWN_ERROR("outbox_full", "the outbox of this replica is full") }, false],
  ["its own 503 while it stops", { status: 503, headers: { "retry-after": "2" }, body: OWN_ERROR("stopping", "this replica is stopping") }, false],
  ["its own 429", { status: 429, headers: { "retry-after": "1" }, body: OWN_ERROR("too_many", "too many requests") }, false],
  ["a proxy's 502", { status: 502, contentType: "text/html", body: "<h1>Bad Gateway</h1>" }, true],
  ["a proxy's 504", { status: 504, contentType: "text/html", body: "<h1>Gateway Time-out</h1>" }, true],
  ["a proxy's 404", { status: 404, contentType: "text/html", body: "<h1>Not Found</h1>" }, false],
  ["a 202 that cannot be read", { status: 202, contentType: "application/json", body: '{"transactions": [' }, true],
  ["a connection that is cut", "cut", true],
]) {
  test(`an order is sent again, and takes effect once, after ${name}`, async () => {
    const alice = await scene.trader();
    const { page } = alice;
    const sent = await answerFirst(page, answer, reaches);
    await alice.order("Buy", "1", "1500");
    await newest(page).getByText(answer === "cut" ? "The replica does not answer." : "Not known yet: ").waitFor();
    await alice.outcome("applied");
    assert.ok(sent.length >= 2, "sent again");
    assert.equal(new Set(sent).size, 1, "the same bytes");
    assert.equal(await opened(alice), 1);
    await newest(page).getByText("Not known yet: ").waitFor({ state: "hidden" });
  });
}

test("the replica's own refusal ends a transaction, and it is not sent again", async () => {
  const alice = await scene.trader();
  const { page } = alice;
  let count = 0;
  await page.route(POST, (route) => {
    count += 1;
    return route.fulfill({ status: 422, json: { error: { code: "balance_too_low", message: "only 0 USDT is available", details: { reject_code: "40" } } } });
  });
  await alice.order("Buy", "1", "1500");
  await newest(page).getByText("only 0 USDT is available").waitFor();
  await newest(page).locator(".steps .bad").filter({ hasText: "refused" }).waitFor();
  await page.unroute(POST);
  // An order after it is the sign that some time has passed.
  await alice.order("Buy", "1", "1501");
  await alice.outcome("applied");
  assert.equal(count, 1);
  assert.equal(await opened(alice), 1);
  // Nor after a reload.
  await page.reload();
  await alice.tab("Activity");
  const line = page.locator(".sent > li").filter({ hasText: "at 1,500" });
  await line.locator(".steps .bad").filter({ hasText: "refused" }).waitFor();
});

// The codes with which a replica does not take a transaction now, from the documentation. Those of other routes are not among
// them.
const OTHER_ROUTES = ["credited_already", "too_many_credits", "too_many_sockets", "not_following", "not_ready"];
const NOT_NOW = [...readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8").matchAll(/^\| (429|50\d) \| `(\w+)` \|/gm)]
  .map(([, status, code]) => ({ status: Number(status), code }))
  .filter(({ status, code }) => status !== 501 && !OTHER_ROUTES.includes(code));

test("a trader is told in plain words why a replica does not take a transaction now, for each code of the API", async () => {
  const alice = await scene.trader();
  const { page } = alice;
  assert.ok(NOT_NOW.length >= 9, JSON.stringify(NOT_NOW));
  for (const [index, { status, code }] of NOT_NOW.entries()) {
    await answerFirst(page, { status, body: OWN_ERROR(code, "the replica's own words") }, false);
    await alice.order("Buy", "0.1", String(1500 + index));
    const told = await newest(page).getByText("Not known yet: ").innerText();
    assert.doesNotMatch(told, /own words/, code);
    assert.match(told, /^Not known yet: [^]{20,}\. The page asks again\.$/, code);
    const notice = page.locator(".toast").filter({ hasText: "Waiting" }).filter({ hasText: `at 1,${500 + index}: ${told}` });
    await notice.waitFor();
    await alice.outcome("applied");
    await page.unrouteAll();
  }
});

for (const [code, words] of [
  ["nonce_in_future", "Refused: this device's clock is more than a day ahead. Set it right, then sign again."],
  ["nonce_used", "Refused: another transaction of this key has the same number (nonce) and came first. Sign it again if you still want it."],
  ["unknown_signer", "Refused: the exchange does not know the key that signed. A new account needs tokens first. If a trading key signed, start a new one. Then sign again."],
  ["balance_too_low", "Refused: the replica's own words."],
]) {
  test(`a refusal is told in the list and as a notice, although no sheet is open: ${code}`, async () => {
    const alice = await scene.trader();
    const { page } = alice;
    await page.route(POST, (route) => route.fulfill({ status: 422, body: OWN_ERROR(code, "the replica's own words") }));
    await alice.order("Buy", "1", "1500");
    await newest(page).getByText(words, { exact: true }).waitFor();
    await page.locator(".toast").filter({ hasText: "Refused" }).filter({ hasText: words.slice("Refused: ".length) }).waitFor();
  });
}

test("a refusal of a transaction that was applied before does not count", async () => {
  const alice = await scene.trader();
  const { page } = alice;
  let count = 0;
  await page.route(POST, async (route) => {
    count += 1;
    // The first answer is lost on its way. By the second attempt the nonce is used, by this very transaction.
    if (count > 1) return route.fulfill({ status: 422, json: { error: { code: "nonce_used", message: "the nonce is used", details: { reject_code: "3" } } } });
    await route.fetch();
    return route.fulfill({ status: 502, body: "" });
  });
  await alice.order("Buy", "1", "1500");
  await alice.outcome("applied");
  assert.equal(count, 2);
  assert.equal(await page.getByText("the nonce is used").count(), 0);
});

test("a clock that was three days ahead once does not keep the account from trading", async () => {
  const alice = await scene.trader();
  const { page } = alice;
  await page.evaluate(async (account) => {
    const opened = indexedDB.open("zellbook");
    await new Promise((resolve) => opened.addEventListener("success", resolve));
    const change = opened.result.transaction("nonces", "readwrite");
    change.objectStore("nonces").put(String(Date.now() + 3 * 86_400_000), account);
    await new Promise((resolve) => change.addEventListener("complete", resolve));
    opened.result.close();
  }, alice.account);
  const text = await alice.order("Buy", "1", "1500");
  const nonce = Number(/\nnonce: (\d+)/.exec(text)[1]);
  assert.ok(Math.abs(nonce - Date.now()) < 3_600_000, String(nonce));
  await alice.outcome("applied");
  // The next one is above it, also after the clock is set back a little.
  const [stored] = await alice.stored("nonces");
  assert.equal(stored, String(nonce));
});

test("nothing is signed before its text is shown", async () => {
  const alice = await scene.trader();
  const { page, sheet } = alice;
  let isHeld = true;
  const held = [];
  await page.route("**/v1/genesis", (route) => (isHeld ? held.push(route) : route.continue()));
  await page.reload();
  await alice.unlock();
  const form = await alice.fill("Buy", "1", "1500");
  await form.locator("button[type=submit]").click();
  await sheet.waitFor();
  assert.equal(await sheet.locator("pre").textContent(), "");
  assert.equal(await sheet.getByRole("button", { name: "Sign and send" }).count(), 0);
  isHeld = false;
  await Promise.all(held.map((route) => route.continue()));
  await sheet.locator("pre").filter({ hasText: "price: 1500" }).waitFor();
  await alice.sign();
  await alice.outcome("applied");
});

test("a transaction that its replica gave up has no mark at the steps that it never reached", async () => {
  const alice = await scene.trader();
  const { page } = alice;
  const isStatus = (url) => /^\/v1\/transactions\/[0-9a-f]{64}$/.test(url.pathname);
  await page.route(POST, (route) => route.fulfill({ status: 202, json: { transactions: [] } }));
  await page.route(isStatus, (route) => {
    const hash = new URL(route.request().url()).pathname.split("/").at(-1);
    const none = Object.fromEntries(["kind", "account", "posted_ms", "sequenced_ms", "applied_ms", "batch", "position", "reject", "order"].map((name) => [name, null]));
    return route.fulfill({ json: { ...none, hash, status: "expired", received_ms: "1795346192526", posts: "0", certified: false } });
  });
  await alice.order("Buy", "1", "1500");
  const steps = newest(page).locator(".steps li");
  await steps.filter({ hasText: "expired" }).and(page.locator(".bad")).waitFor();
  assert.deepEqual(await steps.evaluateAll((all) => all.slice(0, 4).map((step) => step.className)), ["done", "later", "later", "bad"]);
  // The explorer shows the same.
  await newest(page).locator("a.hash").click();
  await page.locator(".steps .bad").filter({ hasText: "expired" }).waitFor();
  const shown = await page.locator("main .steps li, #content .steps li").evaluateAll((all) => all.map((step) => step.className));
  assert.deepEqual(shown.slice(0, 4), ["done", "later", "later", "bad"]);
});
