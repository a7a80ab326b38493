import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCount, lines, NARROW, submit } from "./exchange.js";
import { Scene } from "./scene.js";

// A wide page in the dark theme, and a narrow page in the light theme.
const LOOKS = [["1440 px", {}], ["360 px", { viewport: NARROW, colorScheme: "light" }]];

const scene = Scene.ofEachTest({ opens: false });

test("two wallets trade, and after kill -9 the state is unchanged and both wallets unlock", async () => {
  await scene.open();
  const alice = await scene.trader();
  const bob = await scene.trader({ viewport: NARROW, colorScheme: "light" });
  assert.notEqual(alice.account, bob.account);

  const text = await alice.order("Sell", "2", "2000");
  assert.match(text, /^Zellbook 1 [0-9a-f]{64}\nkind: order\naccount: 0[23][0-9a-f]{64}\nmarket: ETH\/USDT\nside: sell\nquantity: 2\nprice: 2000\n/);
  const sent = await alice.outcome("applied");
  const steps = await sent.locator(".steps li").allTextContents();
  assert.deepEqual(steps.map((step) => /signed|posted|sequenced|applied|certified/.exec(step)?.[0]), ["signed", "posted", "sequenced", "applied", "certified"]);
  // Certified comes with a later batch, so it may not be done yet.
  const classes = await sent.locator(".steps li").evaluateAll((items) => items.slice(0, 4).map((item) => item.className));
  assert.deepEqual(classes, ["done", "done", "done", "done"]);
  await sent.locator(".steps li.done").nth(4).waitFor();

  // Bob sees the order without a reload, and fills a part of it.
  await bob.tab("Book");
  await bob.page.getByRole("button", { name: "2,000.00, use this ask price" }).waitFor();
  await bob.order("Buy", "0.5", "2010");
  await bob.outcome("applied");
  await bob.tab("Fills");
  await bob.page.getByRole("row", { name: /Buy 2,000.00 0.5000 taker/ }).waitFor();
  await bob.tab("Balances");
  await bob.page.getByRole("row", { name: "ETH 10.5 0" }).waitFor();
  await bob.page.getByRole("row", { name: "USDT 49,000 0" }).waitFor();

  // Alice sees the fill live.
  await alice.tab("Open orders (1)");
  const open = alice.page.getByRole("row", { name: /ETH\/USDT Sell 2,000.00 2.0000 0.5000/ });
  await open.waitFor();
  // The whole row is visible without horizontal scrolling.
  const cut = await open.evaluate((row) => [...row.cells].filter((cell) => {
    const [{ left, right }, panel] = [cell.getBoundingClientRect(), row.closest(".table-scroll").getBoundingClientRect()];
    return left < panel.left - 1 || right > panel.right + 1;
  }).length);
  assert.equal(cut, 0);
  await alice.tab("Balances");
  await alice.page.getByRole("row", { name: "ETH 8 1.5" }).waitFor();
  await alice.page.getByRole("row", { name: "USDT 51,000 0" }).waitFor();
  await alice.page.locator(".trades").getByRole("row", { name: /bought 2,000.00 0.5000/ }).waitFor();

  const routes = ["/v1/markets/ETH-USDT/book", "/v1/markets/ETH-USDT/trades", `/v1/accounts/${alice.account}`, `/v1/accounts/${bob.account}`];
  const state = async () => {
    const { batch, root } = await scene.exchange.get("/v1/status");
    return { batch, root, views: await Promise.all(routes.map((route) => scene.exchange.get(route))) };
  };
  const before = await state();
  await scene.exchange.kill();
  await alice.page.getByRole("alert").getByText("Connection to the replica lost").waitFor();
  await scene.exchange.run();
  assert.deepEqual(await state(), before);

  // The pages reconnect by themselves; after a reload the wallets are still there, locked.
  await alice.page.getByText("Live · batch").waitFor();
  for (const person of [alice, bob]) {
    await person.page.reload();
    await person.unlock();
  }
  await alice.page.getByRole("row", { name: "ETH 8 1.5" }).waitFor();
  await bob.order("Buy", "1.5", "2000");
  await bob.outcome("applied");
  await alice.page.getByRole("row", { name: "ETH 8 0" }).waitFor();
});

for (const [name, look] of LOOKS) {
  test(`at ${name} the form blocks an order that would be rejected, and says why and which value is valid`, async () => {
    await scene.open();
    const alice = await scene.arrive(look);
    const { page } = alice;
    const form = await alice.fill("Buy", "1", "2000");
    await form.locator("#order-reason").getByText("Create or import a wallet first.").waitFor();
    // The button is marked as disabled, but can still receive focus.
    await form.locator("button[type=submit]").click({ force: true });
    assert.equal(await page.getByText("You're signing this message").isVisible(), false);

    await alice.closeForm();
    await alice.createWallet();
    await alice.getTokens();
    const refused = async (side, quantity, price, place, message) => {
      await alice.fill(side, quantity, price);
      await form.locator(place).getByText(message).waitFor();
      assert.equal(await form.locator("button[type=submit]").getAttribute("aria-disabled"), "true");
      await form.locator("button[type=submit]").click({ force: true });
      assert.equal(await page.getByText("You're signing this message").isVisible(), false);
    };
    await refused("Buy", "1", "2000.003", "#field-price-error", "not a multiple of the tick size 0.01; the nearest valid values are 2000 and 2000.01");
    await refused("Buy", "0.00005", "2000", "#field-quantity-error", "not a multiple of the lot size 0.0001");
    await refused("Buy", "1", "two", "#field-price-error", "as a number, for example 1500.25");
    await refused("Buy", "0", "2000", "#field-quantity-error", "Quantity is zero; the minimum is 0.0001");
    await refused("Buy", "0.0001", "1", "#field-quantity-error", "the minimum in this market is 1 USDT");
    await refused("Buy", "100", "2000", "#order-reason", "needs 200000 USDT, but only 50000 USDT is available");
    await refused("Sell", "11", "2000", "#order-reason", "needs 11 ETH, but only 10 ETH is available");

    // Valid again: the button names the order, and the form shows the message before the sheet opens.
    await alice.fill("Sell", "1.5", "2000");
    assert.equal((await form.locator("button[type=submit]").textContent()).trim(), "Sell 1.5 ETH at 2,000");
    await form.getByText("Advanced").click();
    assert.match(await form.locator("pre").textContent(), /side: sell\nquantity: 1.5\nprice: 2000\n/);
    await alice.order("Sell", "1.5", "2000");
    await alice.outcome("applied");
    await alice.fill("Buy", "1", "2000");
    await form.getByLabel("Time in force").selectOption("post_only");
    await refused("Buy", "1", "2000", "#field-price-error", "the best ask is 2000");
  });
}

for (const [name, look] of LOOKS) {
  test(`at ${name} a button fills in the nearest valid price and quantity`, async () => {
    await scene.open();
    const alice = await scene.trader(look);
    const form = await alice.fill("Buy", "1", "2000.006");
    await form.locator("#field-price-error").getByRole("button", { name: "Use 2,000.01" }).click();
    assert.equal(await form.locator("#field-price").inputValue(), "2000.01");
    await alice.fill("Buy", "0.00051", "2000");
    await form.locator("#field-quantity-error").getByRole("button", { name: "Use 0.0005" }).click();
    // Below the minimum order value of 1 USDT.
    await alice.fill("Buy", "0.0001", "2000");
    await form.locator("#field-quantity-error").getByRole("button", { name: "Use 0.0005" }).click();
    assert.equal(await form.locator("#field-quantity").inputValue(), "0.0005");
    // Both values at once, beside the main button, while the user is still typing.
    await alice.fill("Sell", "0.00051", "1999.003");
    await form.locator("#field-price").focus();
    await form.getByRole("button", { name: "Use 0.0006 at 1,999" }).click();
    assert.equal(await form.locator("#field-quantity").inputValue(), "0.0006");
    const submit = form.getByRole("button", { name: "Sell 0.0006 ETH at 1,999" });
    assert.equal(await submit.getAttribute("aria-disabled"), "false");
    assert.ok(await submit.evaluate((button) => button === document.activeElement));
  });
}

for (const [name, look] of LOOKS) {
  test(`at ${name} the form shows what an order will do and cost, and the order then does exactly that`, async () => {
    await scene.open({ fees: { maker: 2, taker: 5 } });
    const alice = await scene.trader(look);
    for (const [quantity, price] of [["0.4", "2001"], ["1", "2003"]]) {
      await alice.order("Sell", quantity, price);
      await alice.outcome("applied");
    }
    const bob = await scene.trader(look);
    await bob.see("Book");
    await bob.page.getByRole("button", { name: "2,003.00, use this ask price" }).waitFor();
    const form = await bob.fill("Buy", "2", "2003");
    const expected = {
      "Fills now": "1.4 ETH across 2 levels",
      "Average price": "2,002.42857142",
      "Worst price": "2,003.00",
      "Taker fee": "1.4017 USDT (0.05 %)",
      "Posts to book": "0.6 ETH",
      "Locked by this order": "1,202.04036 USDT",
      "Maker fee if filled": "0.24036 USDT (0.02 %)",
      "Max cost incl. fee": "4,008.003001 USDT",
    };
    assert.deepEqual(await lines(form), { Available: "50,000 USDT", ...expected });
    await form.getByLabel("Time in force").selectOption("ioc");
    assert.equal((await lines(form))["Cancelled immediately"], "0.6 ETH: cannot fill now");
    await form.getByLabel("Time in force").selectOption("gtc");
    await form.locator("button[type=submit]").click();
    const { Network, ...onSheet } = await lines(bob.sheet);
    assert.deepEqual(onSheet, { Market: "ETH/USDT", "Time in force": "Good till cancelled (GTC)", ...expected });
    assert.match(Network, /^[0-9a-f]{8}…[0-9a-f]{6}$/);
    await bob.sign();
    await bob.outcome("applied");
    await bob.tab("Balances");
    await bob.page.getByRole("row", { name: "USDT 45,993.15794 1,202.04036" }).waitFor();
    await bob.tab("Fills");
    await bob.page.getByRole("row", { name: /Buy 2,003.00 1.0000 taker 1.0015 USDT/ }).waitFor();
    await alice.tab("Fills");
    await alice.page.getByRole("row", { name: /Sell 2,001.00 0.4000 maker 0.16008 USDT/ }).waitFor();

    // The rest of the level is Bob's own order.
    await bob.fill("Sell", "1", "2003");
    assert.deepEqual(await lines(form), {
      Available: "11.4 ETH",
      "Fills now": "none",
      "Cancelled immediately": "1 ETH: self-trade prevention",
      "Max cost": "1 ETH",
      "Min. proceeds": "2,001.998499 USDT",
    });
    await form.getByLabel("Time in force").selectOption("post_only");
    await form.locator("#field-price-error").getByText("the best bid is 2003").waitFor();
  });
}

for (const [name, look] of LOOKS) {
  test(`at ${name} a fill-or-kill order that would not fill is not signed`, async () => {
    await scene.open();
    const alice = await scene.trader(look);
    await alice.order("Sell", "0.5", "2000");
    await alice.outcome("applied");
    const bob = await scene.trader(look);
    await bob.see("Book");
    await bob.page.getByRole("button", { name: "2,000.00, use this ask price" }).waitFor();
    const form = await bob.fill("Buy", "1", "2000");
    await form.getByLabel("Time in force").selectOption("fok");
    await form.locator("#order-reason").getByText("This fill-or-kill order would fill only 0.5 of 1.").waitFor();
    await form.locator("button[type=submit]").click({ force: true });
    assert.equal(await bob.sheet.isVisible(), false);
    assert.match(await bob.order("Buy", "0.5", "2000"), /\ntime_in_force: fok\n/);
    await bob.outcome("applied");
  });
}

for (const [name, look] of LOOKS) {
  test(`at ${name} a good-till-date order shows its expiry, before it is signed and while it is open`, async () => {
    await scene.open();
    const alice = await scene.trader(look);
    const form = await alice.fill("Buy", "1", "1990");
    assert.equal(await form.getByLabel("Expires").isVisible(), false);
    await form.getByLabel("Time in force").selectOption("gtd");
    await form.getByLabel("Expires").selectOption({ label: "In 1 hour" });
    await form.locator("button[type=submit]").click();
    const shown = (await lines(alice.sheet)).Expires;
    const text = await alice.sign();
    const [, expires] = /\ntime_in_force: gtd\nexpires: (\d+)\nself_trade: /.exec(text);
    assert.ok(Math.abs(Number(expires) - Date.now() - 3_600_000) < 60_000);
    // The time zone of the browser is UTC.
    assert.equal(Date.parse(`${shown} UTC`.replace(/\s/g, " ")), Number(expires));
    await alice.outcome("applied");
    await alice.tab("Open orders (1)");
    await alice.page.getByRole("columnheader", { name: "Expires" }).waitFor();
    await alice.page.getByRole("cell", { name: shown }).waitFor();

    await alice.fill("Buy", "1", "1991");
    await form.getByLabel("Expires").selectOption({ label: "Custom date and time" });
    await form.getByText("Choose a date and time.").waitFor();
    await form.locator("#field-expires").fill("2020-01-31T15:45");
    await form.locator("#field-expires").blur();
    await form.locator("#field-expires-error").getByText("choose a later one").waitFor();
    assert.equal(await form.locator("button[type=submit]").getAttribute("aria-disabled"), "true");
    await form.locator("#field-expires").fill("2099-01-31T15:45");
    await form.locator("button[type=submit]").click();
    assert.match(await alice.sign(), new RegExp(`\nexpires: ${Date.UTC(2099, 0, 31, 15, 45)}\n`));
    await alice.outcome("applied");
    await alice.fill("Buy", "1", "1991");
    await form.getByLabel("Time in force").selectOption("ioc");
    assert.equal(await form.getByLabel("Expires").isVisible(), false);
  });
}

for (const [name, look] of LOOKS) {
  test(`at ${name} editing an open order: a smaller quantity keeps its queue position, a new price loses it`, async () => {
    await scene.open();
    const alice = await scene.trader(look);
    await alice.order("Sell", "2", "2000");
    await alice.outcome("applied");
    const bob = await scene.trader(look);
    await bob.see("Book");
    await bob.page.getByRole("button", { name: "2,000.00, use this ask price" }).waitFor();
    await bob.order("Buy", "0.5", "2000");
    await bob.outcome("applied");

    let sheet = await alice.edit("1", {});
    await sheet.getByText("Change the price or quantity.").waitFor();
    await sheet.locator("button[type=submit]").click({ force: true });
    assert.equal(await alice.sheet.isVisible(), false);
    await sheet.getByRole("button", { name: "Close" }).click();

    sheet = await alice.edit("1", { quantity: "1.2" });
    const expected = { Effect: "Keeps queue position", "Stays in book": "0.7 ETH", "Max cost": "0.7 ETH" };
    assert.deepEqual(await lines(sheet), expected);
    await sheet.getByRole("button", { name: "Change to 1.2 at 2,000" }).click();
    await alice.page.getByRole("heading", { name: "Change order #1 to 1.2 at 2,000" }).waitFor();
    const { Network, ...onSheet } = await lines(alice.sheet);
    assert.deepEqual(onSheet, { Market: "ETH/USDT", Side: "sell", Before: "2.0000 at 2,000.00, 0.5000 filled", ...expected });
    assert.ok(Network);
    const text = await alice.sign();
    assert.match(text, /\nkind: replace\naccount: [0-9a-f]{66}\nreplaces_order: 1\nmarket: ETH\/USDT\nside: sell\nquantity: 1.2\nprice: 2000\ntime_in_force: gtc\n/);
    await alice.outcome("applied");
    await alice.tab("Balances");
    await alice.page.getByRole("row", { name: "ETH 8.8 0.7" }).waitFor();
    await alice.tab("Open orders (1)");
    await alice.page.getByRole("row", { name: /Sell 2,000.00 1.2000 0.5000/ }).waitFor();

    // The new price fills a part against Bob's bid; at first it is between two ticks.
    await bob.order("Buy", "0.1", "1999");
    await bob.outcome("applied");
    await alice.see("Book");
    await alice.page.getByRole("button", { name: "1,999.00, use this bid price" }).waitFor();
    sheet = await alice.edit("1", { price: "1998.996" });
    await sheet.locator("#edit-price").blur();
    await sheet.locator("#edit-price-error").getByRole("button", { name: "Use 1,999" }).click();
    assert.deepEqual(await lines(sheet), {
      Effect: "Loses queue position; new ID",
      "Fills now": "0.1 ETH at 1 level",
      "Average price": "1,999.00",
      "Taker fee": "0 USDT (0 %)",
      "Posts to book": "0.6 ETH",
      "Locked by this order": "0.6 ETH",
      "Maker fee if filled": "0 USDT (0 %)",
      "Max cost": "0.7 ETH",
      "Min. proceeds": "1,399.3 USDT",
    });
    await sheet.locator("button[type=submit]").click();
    await alice.sign();
    await alice.outcome("applied");
    await alice.tab("Open orders (1)");
    await alice.page.getByRole("button", { name: "Edit order #4" }).waitFor();
    assert.equal(await alice.page.getByRole("button", { name: "Edit order #1" }).count(), 0);

    // A quantity above the balance, and an order that fills while it is edited.
    sheet = await alice.edit("4", { quantity: "50" });
    await sheet.getByText("but only 9.4 ETH is available").waitFor();
    await sheet.locator("#edit-quantity").fill("0.3");
    await bob.order("Buy", "0.6", "1999");
    await sheet.getByText("This order is no longer open.").waitFor();
  });
}

test("an order that a program placed in another market shows its client ID and keeps it when edited", async () => {
  await scene.open();
  const alice = await scene.arrive();
  const { page } = alice;
  const secret = "11".repeat(32);
  await alice.importKey(secret);
  await alice.getTokens();
  const order = { kind: "order", market: "BTC/USDT", side: "buy", quantity: "0.1", price: "60000", time_in_force: "gtc", self_trade: "cancel_newest" };
  await submit(scene.exchange, secret, { ...order, client_id: "bot:7" });
  await alice.tab("Open orders (1)");
  await page.getByRole("columnheader", { name: "Client ID" }).waitFor();
  await page.getByRole("cell", { name: "bot:7" }).waitFor();
  const carol = await scene.trader();
  await carol.market("BTC/USDT");
  await carol.order("Sell", "0.05", "60100");
  await carol.outcome("applied");

  // The preview uses the order book of the order's own market.
  const sheet = await alice.edit("1", { price: "60100" });
  await sheet.getByText("0.05 BTC at 1 level").waitFor();
  await page.getByRole("button", { name: "Market BTC/USDT" }).waitFor();
  await sheet.locator("button[type=submit]").click();
  assert.doesNotMatch(await alice.sign(), /client_id/);
  await alice.outcome("applied");
  await alice.tab("Open orders (1)");
  await page.getByRole("button", { name: "Edit order #3" }).waitFor();
  await page.getByRole("cell", { name: "bot:7" }).waitFor();
});

for (const [name, look] of LOOKS) {
  test(`at ${name} orders are cancelled one by one and all together`, async () => {
    await scene.open();
    const alice = await scene.trader(look);
    const { page } = alice;
    for (const price of ["1990", "1991", "1992"]) {
      await alice.order("Buy", "1", price);
      await alice.outcome("applied");
    }
    await alice.tab("Open orders (3)");
    await page.getByRole("button", { name: "Cancel order #2", exact: true }).click();
    await page.getByRole("button", { name: "Sign and send" }).click();
    await alice.tab("Open orders (2)");
    await page.getByRole("button", { name: "Cancel all" }).click();
    await page.getByRole("button", { name: "Sign and send" }).click();
    await alice.tab("Open orders (0)");
    await page.getByText("No open orders.").waitFor();
    await alice.tab("Balances");
    await page.getByRole("row", { name: "USDT 50,000 0" }).waitFor();
    await alice.tab("Order history");
    await hasCount(page.getByRole("cell", { name: "cancelled" }), 3);
  });
}

test("a transaction signed while the replica is unreachable is sent when it is back", async () => {
  await scene.open();
  const alice = await scene.trader();
  await scene.exchange.kill();
  await alice.page.getByRole("alert").getByText("Connection to the replica lost").waitFor();
  await alice.order("Buy", "1", "1990");
  await alice.page.getByText("The replica does not answer.").first().waitFor();
  await scene.exchange.run();
  await alice.outcome("applied");
});

test("an order is placed by keyboard alone", async () => {
  await scene.open();
  const alice = await scene.trader();
  const { page } = alice;
  const { keyboard } = page;
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
  const tabTo = async (wanted) => {
    for (let step = 0; step < 60; step += 1) {
      await keyboard.press("Tab");
      if ((await focused()) === wanted) return;
    }
    assert.fail(`${wanted} is not reached by Tab`);
  };
  await page.evaluate(() => document.activeElement.blur());
  await tabTo("field-price");
  await keyboard.type("1990");
  await keyboard.press("ArrowUp");
  await tabTo("field-quantity");
  await keyboard.type("2");
  await keyboard.press("ArrowDown");
  await keyboard.press("Enter");
  await page.getByText("You're signing this message").waitFor();
  await keyboard.press("Escape");
  await page.getByText("You're signing this message").waitFor({ state: "hidden" });
  await page.locator("#field-quantity").press("Enter");
  await page.getByRole("button", { name: "Sign and send" }).waitFor();
  assert.equal(await focused(), "Sign and send");
  await keyboard.press("Enter");
  await alice.outcome("applied");
  await alice.tab("Open orders (1)");
  await page.getByRole("row", { name: /Buy 1,990.01 1.9999/ }).waitFor();
});

test("holding Enter signs nothing, and switching the market clears the form", async () => {
  await scene.open();
  const alice = await scene.trader();
  const { page } = alice;
  await alice.fill("Buy", "0.1", "1900");
  await page.locator("#field-quantity").focus();
  // A held key sends repeated keydown events without a keyup.
  for (let repeat = 0; repeat < 20; repeat += 1) await page.keyboard.down("Enter");
  await page.keyboard.up("Enter");
  await page.getByText("You're signing this message").waitFor();
  assert.equal(await page.locator(".sent > li").filter({ hasText: "Buy 0.1 ETH" }).count(), 0);
  await page.keyboard.press("Enter");
  await alice.outcome("applied");
  assert.equal(await page.locator("#field-quantity").inputValue(), "");

  await alice.fill("Sell", "1", "1990");
  await alice.market("BTC/USDT");
  assert.equal(await page.locator("#field-price").inputValue(), "");
  assert.equal(await page.locator("#order-form button[type=submit]").getAttribute("aria-disabled"), "true");
});
