// Set-up and tear-down of a test file: a browser, an exchange, and people whose consoles must show no errors.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import { Exchange, launch, Person } from "./exchange.js";

export class Scene {
  #people = [];
  #residents = [];

  // One exchange for all tests of the file; `prepare` fills it with data.
  static ofFile(prepare = () => {}) {
    const scene = new Scene();
    before(async () => {
      await scene.open();
      await prepare(scene);
    });
    afterEach(() => scene.close());
    after(async () => {
      try {
        await scene.close(scene.#residents);
      } finally {
        await scene.browser.close();
        await scene.exchange.stop();
      }
    });
    return scene;
  }

  // A new exchange for each test. If `opens` is false, the test itself opens it, with its own options.
  static ofEachTest({ opens = true, prepare = () => {} } = {}) {
    const scene = new Scene();
    before(async () => {
      scene.browser = await launch();
    });
    beforeEach(async () => {
      if (!opens) return;
      await scene.open();
      await prepare(scene);
    });
    afterEach(async () => {
      try {
        await scene.close();
      } finally {
        await scene.exchange?.stop();
      }
    });
    after(() => scene.browser.close());
    return scene;
  }

  async open(options) {
    this.browser ??= await launch();
    this.exchange = await Exchange.start(options);
  }

  // A person with their own browser context, at a path of the page.
  async arrive({ path = "/", browser = this.browser, ...options } = {}) {
    const person = await Person.arrive(browser, { url: this.exchange.url + path }, options);
    this.#people.push(person);
    return person;
  }

  // A person with a wallet and test tokens.
  async trader(options) {
    const person = await this.arrive(options);
    await person.createWallet();
    await person.getTokens();
    return person;
  }

  // A trader who stays for all tests of the file.
  async resident(options) {
    const person = await this.trader(options);
    this.#residents.push(...this.#people.splice(this.#people.indexOf(person), 1));
    return person;
  }

  // Closes their browsers and checks that no console showed an error.
  async close(people = this.#people) {
    const errors = [];
    for (const person of people.splice(0)) errors.push(...(await person.leave()));
    assert.deepEqual(errors, [], "no errors in the console, no violation of the policy");
  }
}
