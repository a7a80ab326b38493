// What a test file begins and ends with: a browser, an exchange, and people who leave without a fault.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import { Exchange, launch, Person } from "./exchange.js";

export class Scene {
  #people = [];
  #residents = [];

  // Of all tests of the file; `prepare` brings in what they find there.
  static ofFile(prepare = () => {}) {
    const scene = new Scene();
    before(async () => {
      await scene.open();
      await prepare(scene);
    });
    afterEach(() => scene.part());
    after(async () => {
      try {
        await scene.part(scene.#residents);
      } finally {
        await scene.browser.close();
        await scene.exchange.stop();
      }
    });
    return scene;
  }

  // With an exchange of its own for each test; where `opens` is false, the test opens it as it needs it.
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
        await scene.part();
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

  // Somebody with a browser of their own, at a path of the page.
  async arrive({ path = "/", browser = this.browser, ...options } = {}) {
    const person = await Person.arrive(browser, { url: this.exchange.url + path }, options);
    this.#people.push(person);
    return person;
  }

  // Somebody with a key and test tokens.
  async trader(options) {
    const person = await this.arrive(options);
    await person.makeKey();
    await person.getTokens();
    return person;
  }

  // A trader who stays for all tests of the file.
  async resident(options) {
    const person = await this.trader(options);
    this.#residents.push(...this.#people.splice(this.#people.indexOf(person), 1));
    return person;
  }

  // They leave, and nobody's browser had anything to complain of.
  async part(people = this.#people) {
    const faults = [];
    for (const person of people.splice(0)) faults.push(...(await person.leave()));
    assert.deepEqual(faults, [], "no errors in the console, no violation of the policy");
  }
}
