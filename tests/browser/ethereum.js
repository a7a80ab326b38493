// An Ethereum wallet of the browser, as the page sees it (EIP-6963, EIP-1193). Its keys are in this process, outside the page,
// and a library that shares no code with ours signs.
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

export class EthereumWallet {
  constructor(secret) {
    this.secret = hexToBytes(secret);
    // Further wallets whose accounts this one also holds.
    this.others = [];
    this.asked = [];
    this.refuses = false;
    // The address that it exposes to the page; undefined while the wallet is locked.
    this.shown = this.address;
    this.held = undefined;
  }

  get account() {
    return bytesToHex(secp256k1.getPublicKey(this.secret, true));
  }

  get address() {
    const point = secp256k1.getPublicKey(this.secret, false);
    return `0x${bytesToHex(keccak_256(point.slice(1)).slice(12))}`;
  }

  // `personal_sign` returns v as 27 or 28.
  sign(hex) {
    const text = hexToBytes(hex.slice(2));
    const digest = keccak_256(concatBytes(utf8ToBytes(`\x19Ethereum Signed Message:\n${text.length}`), text));
    const [recovery, ...rs] = secp256k1.sign(digest, this.secret, { prehash: false, format: "recovered" });
    return `0x${bytesToHex(Uint8Array.from(rs))}${(27 + recovery).toString(16)}`;
  }

  // Leaves signing requests unanswered until the returned function is called.
  hold() {
    let release;
    this.held = new Promise((resolve) => (release = resolve));
    return () => {
      this.held = undefined;
      release();
    };
  }

  async request({ method, params }) {
    this.asked.push(method);
    if (this.refuses) return { error: { code: 4001, message: "User rejected the request." } };
    if (method === "eth_requestAccounts" || method === "eth_accounts") return { result: this.shown ? [this.shown] : [] };
    if (method === "personal_sign") {
      await this.held;
      // The answer of real wallets for an account that they do not expose.
      if (params[1] !== this.shown) return { error: { code: 4100, message: "Unauthorized." } };
      this.signed = new TextDecoder().decode(hexToBytes(params[0].slice(2)));
      const signer = this.others.find(({ address }) => address === this.shown) ?? this;
      return { result: signer.sign(params[0]) };
    }
    return { error: { code: 4200, message: `does not know ${method}` } };
  }

  // The user selects another account in the wallet, or none; the wallet notifies the page.
  async show(page, address) {
    this.shown = address;
    await this.emit(page, "accountsChanged", address ? [address] : []);
  }

  async emit(page, event, data) {
    await page.evaluate(([event, data]) => globalThis.ethereumEmit(event, data), [event, data]);
  }

  // Installs the wallet in every page of a browser context, before the page's own script runs.
  async install(context) {
    await context.exposeFunction("ethereumRequest", (request) => this.request(request));
    await context.addInitScript(() => {
      const listeners = [];
      const provider = {
        async request(request) {
          const { error, result } = await globalThis.ethereumRequest(request);
          if (error) throw Object.assign(new Error(error.message), error);
          return result;
        },
        on(event, listener) {
          listeners.push([event, listener]);
        },
      };
      globalThis.ethereumEmit = (event, data) => {
        for (const [name, listener] of listeners) if (name === event) listener(data);
      };
      const info = { uuid: "350670db-19fa-4704-a166-e52e178b59d2", name: "Example Wallet", rdns: "com.example.wallet", icon: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>" };
      const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
      addEventListener("eip6963:requestProvider", announce);
      announce();
    });
  }
}
