// A trading program outside the page. It signs with its own key as docs/protocol.md specifies, and submits
// many transactions at once. It shares no code with the page.
import assert from "node:assert/strict";
import { createECDH, createHash, randomBytes } from "node:crypto";

// The order of the group of secp256k1.
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const MARKET = "ETH/USDT";

const number = (bytes) => BigInt(`0x${bytes.toString("hex")}`);
const hex = (value) => value.toString(16).padStart(64, "0");

// The inverse modulo n, by the extended Euclidean algorithm.
const inverse = (value) => {
  let [a, b, x, y] = [value, N, 1n, 0n];
  while (b !== 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y];
  return ((x % N) + N) % N;
};

const point = (secret, form) => {
  const curve = createECDH("secp256k1");
  curve.setPrivateKey(secret);
  return curve.getPublicKey(null, form);
};

export class Trader {
  #secret = randomBytes(32);
  #nonce = 0;

  static async arrive(exchange) {
    const trader = new Trader();
    trader.exchange = exchange;
    trader.account = point(trader.#secret, "compressed").toString("hex");
    trader.network = (await exchange.get("/v1/status")).network;
    const credited = await trader.#post("/v1/faucet", { account: trader.account });
    await trader.applied(credited.transactions.at(-1).hash);
    return trader;
  }

  // A signed transaction with these fields, in the order that docs/protocol.md requires.
  sign(kind, fields) {
    this.#nonce = Math.max(this.#nonce + 1, Date.now());
    const body = { kind, account: this.account, ...fields, nonce: String(this.#nonce) };
    const lines = Object.entries(body).map(([name, value]) => `${name}: ${value}`);
    const text = [`Zellbook 1 ${this.network}`, ...lines].join("\n");
    const digest = number(createHash("sha256").update(text).digest());
    const once = randomBytes(32);
    const at = point(once, "uncompressed");
    const r = number(at.subarray(1, 33)) % N;
    let v = at.at(-1) & 1;
    let s = (inverse(number(once)) * (digest + r * number(this.#secret))) % N;
    if (s > N / 2n) [s, v] = [N - s, 1 - v];
    return { ...body, scheme: "raw", signature: hex(r) + hex(s) + `0${v}` };
  }

  order(side, quantity, price, { market = MARKET, timeInForce = "gtc", clientId } = {}) {
    const order = { market, side, quantity: String(quantity), price: String(price), time_in_force: timeInForce, self_trade: "cancel_oldest" };
    return this.sign("order", clientId ? { ...order, client_id: clientId } : order);
  }

  cancel(clientId) {
    return this.sign("cancel", { client_id: clientId });
  }

  // Submits transactions in one request.
  async submit(...transactions) {
    const { transactions: taken } = await this.#post("/v1/transactions", transactions);
    for (const { error } of taken) assert.equal(error, null);
    return taken.at(-1).hash;
  }

  // Submits transactions and waits until the last one is applied.
  async execute(...transactions) {
    await this.applied(await this.submit(...transactions));
  }

  async applied(hash) {
    for (let attempt = 0; attempt < 400; attempt += 1) {
      const { status, reject } = await this.exchange.get(`/v1/transactions/${hash}`);
      if (status === "applied") return;
      assert.notEqual(status, "rejected", JSON.stringify(reject));
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`${hash} was not applied`);
  }

  async #post(route, body) {
    const answer = await fetch(this.exchange.url + route, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    assert.ok(answer.ok, await answer.clone().text());
    return answer.json();
  }
}
