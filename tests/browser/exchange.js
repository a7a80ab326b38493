// A real server process with a data folder of its own, and a real browser: nothing is mocked.
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

  // Starts another exchange at the same address, with the same keys and these fees in its genesis: another network.
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

  // As a power cut would: no handler runs.
  async kill() {
    await this.end("SIGKILL");
  }

  // As an operator stops it.
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

// A program of its own beside the page: signs a transaction with a secret key and hands it in.
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

// As many as there are to be, once what is asked for has come.
export const hasCount = async (place, count) => {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if ((await place.count()) === count) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(await place.count(), count, String(place));
};

// Names and values of a form or sheet.
export const lines = async (place) => {
  await place.locator(".cost > div").first().waitFor();
  const rows = await place.locator(".cost > div").all();
  const texts = rows.map(async (row) => [await row.locator("dt").textContent(), await row.locator("dd").textContent()]);
  return Object.fromEntries(await Promise.all(texts));
};

// A person with a browser of their own.
export class Person {
  static async arrive(browser, exchange, { viewport = WIDE, colorScheme = "dark" } = {}) {
    const person = new Person();
    person.context = await browser.newContext({ viewport, colorScheme, locale: "en-US", timezoneId: "UTC" });
    person.page = await person.context.newPage();
    person.isNarrow = viewport.width < 768;
    person.faults = [];
    person.listen();
    await person.page.goto(exchange.url);
    await person.page.getByText("Live · batch").waitFor();
    return person;
  }

  listen() {
    this.page.on("console", (message) => {
      // The browser itself logs requests that fail while the server is away, and 4xx answers.
      const isRequest = /Failed to load resource|WebSocket connection to/.test(message.text());
      if (message.type() === "error" && !isRequest) this.faults.push(message.text());
    });
    this.page.on("pageerror", (error) => this.faults.push(String(error)));
    this.page.setDefaultTimeout(20_000);
  }

  // Closes the browser; what it complained of.
  async leave() {
    await this.context.close();
    return this.faults;
  }

  // The wallet's dialog.
  get dialog() {
    return this.page.getByRole("dialog", { name: "Wallet" });
  }

  // With its phrase written down and checked.
  async makeKey() {
    const { dialog, page } = this;
    await page.getByRole("button", { name: "Create wallet" }).first().click();
    await dialog.locator("#new-passphrase").fill(PASSPHRASE);
    await dialog.getByRole("button", { name: "Create wallet" }).click();
    this.words = await this.writeDown();
    await dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
    this.account = (await dialog.locator(".key").textContent()).trim();
    await dialog.getByRole("button", { name: "Close" }).click();
  }

  // Writes down the phrase that is on show, and gives the words that are asked back.
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

  // Opens the keys of a wallet that is locked.
  async unlock(passphrase = PASSPHRASE) {
    await this.page.getByRole("button", { name: "locked" }).click();
    await this.dialog.locator("#unlock-passphrase").fill(passphrase);
    await this.dialog.getByRole("button", { name: "Unlock" }).click();
    await this.dialog.getByRole("button", { name: "Lock", exact: true }).waitFor();
    await this.closeWallet();
  }

  // Another tab of the same browser.
  async tabAt(url) {
    const person = Object.assign(new Person(), { context: this.context, isNarrow: this.isNarrow, faults: this.faults });
    person.page = await this.context.newPage();
    person.listen();
    await person.page.goto(url);
    return person;
  }

  // Brings a phrase, a key or the text of a file into a browser without keys.
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

  // What the browser keeps in a store of the page's database.
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

  // Chart, book, trades or info, which stand side by side where the page is wide.
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

  // Leaves the order form where the page is narrow and it covers the rest.
  async closeForm() {
    const close = this.page.locator("#order-form").getByRole("button", { name: "Close" });
    if (await close.isVisible()) await close.click();
  }

  // Fills in the form, reads the sheet, signs.
  async order(side, quantity, price) {
    const form = await this.fill(side, quantity, price);
    await form.locator("button[type=submit]").click();
    return this.sign();
  }

  get sheet() {
    return this.page.getByRole("dialog").filter({ hasText: "You're signing this message" });
  }

  // Signs what is on the sheet and returns its text.
  async sign() {
    const text = await this.sheet.locator("pre").textContent();
    await this.sheet.getByRole("button", { name: "Sign and send" }).click();
    return text;
  }

  // The sheet of an open order, with other values.
  async edit(id, values) {
    await this.tab("Open orders");
    await this.page.getByRole("button", { name: `Edit order #${id}`, exact: true }).click();
    const sheet = this.page.getByRole("dialog", { name: `Edit order #${id}` });
    for (const [name, value] of Object.entries(values)) await sheet.locator(`#edit-${name}`).fill(value);
    return sheet;
  }

  // The newest line of "Activity".
  async outcome(word) {
    const line = this.page.locator(".sent > li").first();
    await line.locator(".steps").getByText(word).waitFor();
    await line.locator(".steps li").last().filter({ hasText: word }).and(this.page.locator(".done, .bad")).waitFor();
    return line;
  }
}
