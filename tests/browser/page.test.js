// Delivery of the page: what the browser loads, and that nothing else can run.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Exchange, Person, launch } from "./exchange.js";

let browser;
let exchange;
before(async () => {
  browser = await launch();
  exchange = await Exchange.start();
});
after(async () => {
  await browser.close();
  await exchange.stop();
});

// Limits of a first visit in compressed bytes.
const FIRST_LOAD_MAX = 250_000;
const WITH_CHART_LIBRARY_MAX = 330_000;

test("a first visit loads few bytes: each file once, compressed, with an integrity digest, and no wallet code", async () => {
  const person = await Person.arrive(browser, exchange);
  const { page } = person;
  await page.locator(".chart canvas").first().waitFor();
  await page.waitForLoadState("networkidle");
  const files = await page.evaluate(() => ["navigation", "resource"]
    .flatMap((kind) => performance.getEntriesByType(kind))
    .map(({ name, encodedBodySize, decodedBodySize }) => ({ path: new URL(name).pathname, encodedBodySize, decodedBodySize }))
    .filter(({ path }) => !path.startsWith("/v1/")));
  const names = files.map(({ path }) => path.replace(/-[0-9a-f]{16}\./, ".")).sort();
  // Code that the chart shares with other parts is in chunks.
  const named = names.filter((name) => name !== "/icon.svg" && !/^\/chunk-\d+\.wasm$/.test(name));
  assert.deepEqual(named, ["/", "/chart.js", "/chart.wasm", "/style.css", "/zellbook.js", "/zellbook.wasm"]);
  for (const { path, encodedBodySize, decodedBodySize } of files) assert.ok(encodedBodySize < decodedBodySize, path);
  const size = (of) => of.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0);
  const first = size(files.filter(({ path }) => !/^\/chart-.*js$/.test(path)));
  assert.ok(first <= FIRST_LOAD_MAX, `${first} bytes`);
  assert.ok(size(files) <= WITH_CHART_LIBRARY_MAX, `${size(files)} bytes with the chart library`);
  const loads = await page.locator("script, link[rel=stylesheet], link[rel=preload]").all();
  assert.equal(loads.length, 4);
  for (const load of loads) assert.match(await load.getAttribute("integrity"), /^sha384-/);
  assert.deepEqual(person.consoleErrors, []);
  await person.context.close();
});

for (const kind of ["js", "wasm"]) {
  test(`a ${kind} file that differs from the built one does not run`, async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.route(`**/zellbook-*.${kind}`, async (route) => {
      const answer = await route.fetch();
      const bytes = await answer.body();
      // Still valid, but different.
      const more = kind === "js" ? Buffer.from("\n") : Buffer.from([0, 2, 1, 0x78]);
      await route.fulfill({ response: answer, body: Buffer.concat([bytes, more]) });
    });
    const refused = page.waitForEvent("console", (message) => message.text().includes("integrity"));
    await page.goto(exchange.url);
    await refused;
    if (kind === "wasm") await page.getByText("Zellbook could not start").waitFor();
    assert.equal(await page.locator("main").count(), 0);
    await context.close();
  });
}

test("the content security policy blocks inline scripts and requests to other servers", async () => {
  const { context, page } = await Person.arrive(browser, exchange);
  const violated = await page.evaluate(async () => {
    const directives = [];
    document.addEventListener("securitypolicyviolation", (event) => directives.push(event.effectiveDirective));
    const script = document.createElement("script");
    script.textContent = "globalThis.ran = true";
    document.head.append(script);
    await fetch("http://127.0.0.1:9/").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { directives, ran: globalThis.ran === true, isolated: crossOriginIsolated };
  });
  assert.deepEqual(violated, { directives: ["script-src-elem", "connect-src"], ran: false, isolated: true });
  await context.close();
});

test("the vault is loaded when it is first needed, and a modified vault does not run", async () => {
  const person = await Person.arrive(browser, exchange);
  const { context, page } = person;
  const vaults = [];
  page.on("request", (request) => /\/vault-.*wasm/.test(request.url()) && vaults.push(request.url()));
  await page.route("**/vault-*.wasm", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: Buffer.concat([await answer.body(), Buffer.from([0, 2, 1, 0x78])]) });
  });
  await page.getByRole("button", { name: "Create wallet" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Wallet" });
  assert.deepEqual(vaults, []);
  await dialog.locator("#new-passphrase").fill("correct horse battery");
  await dialog.getByRole("button", { name: "Create wallet" }).click();
  await dialog.getByText("The wallet code could not be loaded.").waitFor();
  assert.equal(vaults.length, 1);
  assert.deepEqual(await person.stored("records"), []);
  await page.unroute("**/vault-*.wasm");
  await page.route("**/vault-*.js", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: `${await answer.text()}\n` });
  });
  await dialog.getByRole("button", { name: "Create wallet" }).click();
  await dialog.getByText("Working…").waitFor({ state: "hidden" });
  await dialog.getByText("The wallet code could not be loaded.").waitFor();
  await page.unroute("**/vault-*.js");
  await dialog.getByRole("button", { name: "Create wallet" }).click();
  await dialog.locator(".phrase li").last().waitFor();
  await context.close();
});

test("the explorer is loaded when it is first opened, and a modified explorer does not run", async () => {
  const { context, page } = await Person.arrive(browser, exchange);
  const loaded = [];
  page.on("request", (request) => /\/explorer-/.test(request.url()) && loaded.push(request.url()));
  await page.route("**/explorer-*.wasm", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: Buffer.concat([await answer.body(), Buffer.from([0, 2, 1, 0x78])]) });
  });
  const open = async (name) => {
    const link = page.getByRole("navigation").getByRole("link", { name });
    if (!(await link.isVisible())) await page.getByRole("button", { name: "Explore" }).click();
    await link.click();
  };
  await open("Markets");
  await page.getByText("This part of the page could not be loaded").waitFor();
  assert.equal(loaded.length, 1);
  await page.unroute("**/explorer-*.wasm");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { level: 1, name: "Markets" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Markets");
  await open("Replicas");
  await page.getByRole("heading", { level: 1, name: "Replicas" }).waitFor();
  assert.equal(loaded.length, 2);
  await context.close();
});
