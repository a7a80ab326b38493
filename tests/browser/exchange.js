// A real server process with its own data folder, and a real browser: nothing is mocked.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const setting = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run these tests with cargo xtask test`);
  return value;
};

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

export class Exchange {
  // `fees` in basis points, { maker, taker }; none without. `environment` is added to that of the server's first run.
  static async start({ fees, environment } = {}) {
    const exchange = new Exchange();
    exchange.folder = mkdtempSync(path.join(tmpdir(), "zellbook-browser-"));
    exchange.data = path.join(exchange.folder, "data");
    exchange.port = await freePort();
    exchange.url = `http://127.0.0.1:${exchange.port}`;
    await exchange.run(environment);
    if (fees) await exchange.charge(fees);
    return exchange;
  }

  // Starts a different exchange at the same address: same keys, but these fees in genesis, so a different network.
  async charge({ maker, taker }) {
    await this.kill();
    const [before, after] = [this.data, path.join(this.folder, `charged-${maker}-${taker}`)];
    const genesis = JSON.parse(readFileSync(path.join(before, "genesis.json"), "utf8"));
    for (const market of genesis.markets) Object.assign(market, { maker_fee_bps: maker, taker_fee_bps: taker });
    mkdirSync(after);
    for (const name of ["issuer.key", "replica.key"]) copyFileSync(path.join(before, name), path.join(after, name));
    writeFileSync(path.join(after, "genesis.json"), JSON.stringify(genesis));
    this.data = after;
    await this.run();
  }

  async run(environment = {}) {
    this.process = spawn(
      setting("ZELLBOOK_SERVER_BINARY"),
      ["serve", "--data", this.data, "--listen", `127.0.0.1:${this.port}`, "--page", setting("ZELLBOOK_PAGE")],
      { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...environment } },
    );
    this.log = "";
    this.process.stderr.on("data", (text) => (this.log += text));
    for (let attempt = 0; attempt < 300; attempt += 1) {
      const ready = await fetch(`${this.url}/readyz`).then((answer) => answer.ok, () => false);
      if (ready) return;
      if (this.process.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the server did not become ready:\n${this.log}`);
  }

  // Like a power cut: no shutdown handler runs.
  async kill() {
    await this.end("SIGKILL");
  }

  // Like an operator who stops the replica.
  async terminate() {
    await this.end("SIGTERM");
  }

  async end(signal) {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, "exit");
    this.process.kill(signal);
    await ended;
  }

  async stop() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async get(route) {
    const answer = await fetch(this.url + route);
    return answer.json();
  }
}

// Signs a transaction with a secret key outside the page and submits it.
export const submit = async (exchange, secret, transaction) => {
  const [key, file] = ["program.key", "transaction.json"].map((name) => path.join(exchange.folder, name));
  writeFileSync(key, secret, { mode: 0o600 });
  writeFileSync(file, JSON.stringify(transaction));
  const signed = execFileSync(setting("ZELLBOOK_SERVER_BINARY"), ["--json", "sign", file, "--key", key, "--server", exchange.url]);
  const body = JSON.stringify(JSON.parse(signed).transaction);
  const answer = await fetch(`${exchange.url}/v1/transactions`, { method: "POST", headers: { "content-type": "application/json" }, body });
  if (!answer.ok) throw new Error(await answer.text());
};

export const launch = () =>
  chromium.launch({
    executablePath: setting("ZELLBOOK_CHROMIUM"),
    args: setting("ZELLBOOK_CHROMIUM_FLAGS").split(" "),
  });

export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 360, height: 740 };
export const PASSPHRASE = "correct horse battery";

// Waits until the number of matching elements is `count`.
export const hasCount = async (place, count) => {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if ((await place.count()) === count) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(await place.count(), count, String(place));
};

// The names and values listed in a form or sheet.
export const lines = async (place) => {
  await place.locator(".cost > div").first().waitFor();
  const rows = await place.locator(".cost > div").all();
  const texts = rows.map(async (row) => [await row.locator("dt").textContent(), await row.locator("dd").textContent()]);
  return Object.fromEntries(await Promise.all(texts));
};

// A person with their own browser context.
export class Person {
  static async arrive(browser, exchange, { viewport = WIDE, colorScheme = "dark" } = {}) {
    const person = new Person();
    person.context = await browser.newContext({ viewport, colorScheme, locale: "en-US", timezoneId: "UTC" });
    person.page = await person.context.newPage();
    person.isNarrow = viewport.width < 768;
    person.consoleErrors = [];
    person.listen();
    await person.page.goto(exchange.url);
    await person.page.getByText("Live · batch").waitFor();
    return person;
  }

  listen() {
    this.page.on("console", (message) => {
      // The browser itself logs requests that fail while the server is away, and 4xx answers.
      const isRequest = /Failed to load resource|WebSocket connection to/.test(message.text());
      if (message.type() === "error" && !isRequest) this.consoleErrors.push(message.text());
    });
    this.page.on("pageerror", (error) => this.consoleErrors.push(String(error)));
    this.page.setDefaultTimeout(20_000);
  }

  // Closes the browser context and returns the errors of its console.
  async leave() {
    await this.context.close();
    return this.consoleErrors;
  }

  // The wallet's dialog.
  get dialog() {
    return this.page.getByRole("dialog", { name: "Wallet" });
  }

  // Creates a wallet, then writes down and confirms its phrase.
  async createWallet() {
    const { dialog, page } = this;
    await page.getByRole("button", { name: "Create wallet" }).first().click();
    await dialog.locator("#new-passphrase").fill(PASSPHRASE);
    await dialog.getByRole("button", { name: "Create wallet" }).click();
    this.words = await this.writeDown();
    await dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
    this.account = (await dialog.locator(".key").textContent()).trim();
    await dialog.getByRole("button", { name: "Close" }).click();
  }

  // Reads the displayed phrase and enters the words that the page asks for.
  async writeDown() {
    const { dialog } = this;
    await dialog.locator(".phrase li").last().waitFor();
    const words = await dialog.locator(".phrase li").allTextContents();
    await dialog.getByRole("button", { name: "I've written them down" }).click();
    for (const field of await dialog.locator(".words .field").all()) {
      const number = Number(/Word (\d+)/.exec(await field.locator("label").textContent())[1]);
      await field.locator("input").fill(words[number - 1]);
    }
    await dialog.getByRole("button", { name: "Confirm" }).click();
    await dialog.locator(".key").waitFor();
    return words;
  }

  async openWallet() {
    await this.page.locator("button.wallet").click();
    return this.dialog;
  }

  async closeWallet() {
    await this.dialog.getByRole("button", { name: "Close" }).click();
  }

  // Unlocks a locked wallet.
  async unlock(passphrase = PASSPHRASE) {
    await this.page.getByRole("button", { name: "locked" }).click();
    await this.dialog.locator("#unlock-passphrase").fill(passphrase);
    await this.dialog.getByRole("button", { name: "Unlock" }).click();
    await this.dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
    await this.closeWallet();
  }

  // Another tab of the same browser.
  async tabAt(url) {
    const person = Object.assign(new Person(), { context: this.context, isNarrow: this.isNarrow, consoleErrors: this.consoleErrors });
    person.page = await this.context.newPage();
    person.listen();
    await person.page.goto(url);
    return person;
  }

  // Imports a phrase, a key or the text of a file into a browser without a wallet.
  async importKey(text) {
    const dialog = await this.openWallet();
    await dialog.getByText("Import private key, recovery phrase or file").click();
    await dialog.locator("#import-text").fill(text);
    await dialog.locator("#import-passphrase").fill(PASSPHRASE);
    await dialog.getByRole("button", { name: "Import", exact: true }).click();
    await dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
    this.account = (await dialog.locator(".key").textContent()).trim();
    await this.closeWallet();
  }

  // All values in one store of the page's database.
  async stored(store) {
    return this.page.evaluate(async (store) => {
      const opened = indexedDB.open("zellbook");
      await new Promise((resolve) => opened.addEventListener("success", resolve));
      const all = opened.result.transaction(store).objectStore(store).getAll();
      await new Promise((resolve) => all.addEventListener("success", resolve));
      opened.result.close();
      return all.result;
    }, store);
  }

  async tab(name) {
    await this.page.getByRole("tab", { name }).click();
  }

  // Shows chart, book, trades or info: tabs on a narrow page, side by side on a wide one.
  async see(name) {
    await this.closeForm();
    if (this.isNarrow) await this.tab(name);
  }

  async market(name) {
    await this.page.locator(".market-picker > button").click();
    await this.page.getByRole("dialog", { name: "Markets" }).getByRole("button", { name, exact: true }).click();
  }

  async getTokens() {
    await this.tab("Balances");
    await this.page.getByRole("button", { name: "Get test tokens" }).click();
    await this.tab("Balances");
    await this.page.getByRole("row", { name: /USDT 50,000/ }).waitFor();
  }

  async fill(side, quantity, price) {
    const { page } = this;
    // On a narrow page the form closes together with the sheet of the previous order. Until then it still looks open.
    await this.sheet.waitFor({ state: "hidden" });
    const isOpen = await page.locator("#order-form").isVisible();
    if (this.isNarrow && !isOpen) {
      await page.locator(".side-bar").getByRole("button", { name: side }).click();
    }
    const form = page.locator("#order-form");
    await form.getByRole("group", { name: "Side" }).getByRole("button", { name: side, exact: true }).click();
    await form.getByLabel("Price").fill(price);
    await form.getByLabel("Quantity").fill(quantity);
    await form.getByLabel("Quantity").blur();
    return form;
  }

  // Closes the order form on a narrow page, where it covers everything else.
  async closeForm() {
    const close = this.page.locator("#order-form").getByRole("button", { name: "Close" });
    if (await close.isVisible()) await close.click();
  }

  // Fills in the form, submits it and signs.
  async order(side, quantity, price) {
    const form = await this.fill(side, quantity, price);
    await form.locator("button[type=submit]").click();
    return this.sign();
  }

  get sheet() {
    return this.page.getByRole("dialog").filter({ hasText: "You're signing this message" });
  }

  // Signs the request on the signing sheet and returns its message.
  async sign() {
    const text = await this.sheet.locator("pre").textContent();
    await this.sheet.getByRole("button", { name: "Sign and send" }).click();
    return text;
  }

  // Opens the edit sheet of an open order and enters other values.
  async edit(id, values) {
    await this.tab("Open orders");
    await this.page.getByRole("button", { name: `Edit order #${id}`, exact: true }).click();
    const sheet = this.page.getByRole("dialog", { name: `Edit order #${id}` });
    for (const [name, value] of Object.entries(values)) await sheet.locator(`#edit-${name}`).fill(value);
    return sheet;
  }

  // The newest entry of "Activity", once it has reached this step.
  async outcome(word) {
    const line = this.page.locator(".sent > li").first();
    await line.locator(".steps").getByText(word).waitFor();
    await line.locator(".steps li").filter({ hasText: word }).and(this.page.locator(".done, .bad")).waitFor();
    return line;
  }
}
