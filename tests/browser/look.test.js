// The page outside trading itself: settings, shortcuts, notices, and layout shifts while it loads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NARROW, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { Trader } from "./trader.js";

let trader;
const scene = Scene.ofFile(async ({ exchange }) => {
  trader = await Trader.arrive(exchange);
  const orders = [];
  for (let step = 1; step <= 30; step += 1) {
    orders.push(trader.order("sell", 0.1, 2000 + step), trader.order("buy", 0.1, 2000 - step));
  }
  await trader.execute(...orders);
});

// Counts layout shifts without user input, from the first moment on.
const watch = () => {
  globalThis.shifts = [];
  new PerformanceObserver((list) => {
    for (const { hadRecentInput, value, sources } of list.getEntries()) {
      if (!hadRecentInput) globalThis.shifts.push({ value, of: sources.map(({ node }) => node?.className || node?.nodeName) });
    }
  }).observe({ type: "layout-shift", buffered: true });
};
const arrive = (options = {}) => {
  const browser = {
    newContext: async (settings) => {
      const context = await scene.browser.newContext({ ...settings, ...options });
      await context.addInitScript(watch);
      return context;
    },
  };
  return scene.arrive({ ...options, browser });
};
const toast = ({ page }, text) => page.locator(".toast").filter({ hasText: text });
const theme = ({ page }) => page.evaluate(() => document.documentElement.dataset.theme);
const colour = ({ page }, name) => page.evaluate((name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim(), name);

for (const [name, viewport] of [["360", NARROW], ["1440", WIDE], ["2560", { width: 2560, height: 1300 }]]) {
  test(`at ${name} px the layout does not shift while the page loads`, async () => {
    const person = await arrive({ viewport });
    await person.page.waitForFunction(() => document.querySelector(".book .bids tr .price")?.textContent.includes("1,999"));
    // Figures and chart arrive with separate requests.
    await person.page.waitForTimeout(2000);
    const shifts = await person.page.evaluate(() => globalThis.shifts);
    const sum = shifts.reduce((sum, { value }) => sum + value, 0);
    assert.ok(sum < 0.05, JSON.stringify(shifts));
  });
}

test("the order book shows only whole rows, with the spread in its middle, at every window size", async () => {
  const { page } = await arrive();
  await page.waitForFunction(() => document.querySelector(".book .bids tr .price")?.textContent.includes("1,999"));
  const measure = () => page.evaluate(() => {
    const box = (element) => element.getBoundingClientRect();
    const cut = [...document.querySelectorAll(".book :is(.asks, .bids) tr")].filter((row) => {
      const [{ top, bottom }, of] = [box(row), box(row.parentElement)];
      const isOut = bottom <= of.top + 0.5 || top >= of.bottom - 0.5;
      return !isOut && (top < of.top - 0.5 || bottom > of.bottom + 0.5);
    });
    const [book, head, asks, spread, bids] = [".book", ".book thead", ".book .asks", ".book .spread", ".book .bids"].map((name) => box(document.querySelector(name)));
    const rows = [asks, bids].map(({ height }) => height / 24);
    return { cut: cut.length, rows, gaps: [spread.top - asks.bottom, bids.top - spread.bottom], off: Math.abs(spread.top - head.bottom - (book.bottom - spread.bottom)) };
  });
  for (const size of ["1280x720", "1440x900", "1440x787", "1920x1080", "2560x1440", "1024x800", "800x600", "360x740"]) {
    const [width, height] = size.split("x").map(Number);
    await page.setViewportSize({ width, height });
    if (width < 768) await page.getByRole("tab", { name: "Book" }).click();
    const { cut, rows, gaps, off } = await measure();
    assert.equal(cut, 0, `${size}: ${cut} rows are cut`);
    assert.ok(rows.every((count) => count >= 2 && Number.isInteger(count)) && rows[0] === rows[1], `${size}: ${rows} rows`);
    assert.ok(gaps.every((gap) => Math.abs(gap) < 0.5) && off < 1, `${size}: ${gaps}, off the middle by ${off}`);
  }
  // The whole row can be clicked.
  await page.setViewportSize({ width: 1440, height: 900 });
  const { x, y, width, height } = await page.locator(".book .bids tr").first().boundingBox();
  for (const place of [x + 2, x + width - 2]) {
    await page.locator("#order-form").getByLabel("Price").fill("");
    await page.mouse.click(place, y + height / 2);
    await page.waitForFunction(() => document.querySelector("#field-price").value === "1999");
  }
});

test("the theme follows the system until the user chooses one, and the choice is stored", async () => {
  const person = await arrive({ colorScheme: "light" });
  const { page } = person;
  assert.equal(await theme(person), "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  await page.getByRole("button", { name: "Settings" }).click();
  const sheet = page.getByRole("dialog", { name: "Settings" });
  await sheet.getByLabel("Light").check();
  const bid = await colour(person, "--bid");
  await sheet.getByLabel("Blue and orange").check();
  assert.notEqual(await colour(person, "--bid"), bid);
  await sheet.getByRole("button", { name: "Close" }).click();
  await sheet.waitFor({ state: "hidden" });
  await page.reload();
  await page.getByText("Live · batch").waitFor();
  assert.deepEqual([await theme(person), await colour(person, "--bid")], ["light", "#0a5fc2"]);
  await page.getByRole("button", { name: "Settings" }).click();
  await sheet.getByLabel("System").check();
  assert.equal(await theme(person), "dark");
});

test("single-key shortcuts work as listed, but not while typing and not after they are turned off", async () => {
  const person = await arrive();
  const { page } = person;
  const focused = () => page.evaluate(() => document.activeElement.id);
  await page.keyboard.press("?");
  const list = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await list.getByRole("row", { name: "t Switch between light and dark theme" }).waitFor();
  // Shortcuts do nothing while a sheet is open.
  await page.keyboard.press("t");
  assert.equal(await theme(person), "dark");
  await page.keyboard.press("Escape");
  await list.waitFor({ state: "hidden" });
  await page.keyboard.press("t");
  await page.waitForFunction(() => document.documentElement.dataset.theme === "light");
  await page.keyboard.press("s");
  await page.waitForFunction(() => document.activeElement.id === "field-price");
  const pressed = (name) => page.locator("#order-form").getByRole("group", { name: "Side" }).getByRole("button", { name, exact: true }).getAttribute("aria-pressed");
  assert.equal(await pressed("Sell"), "true");
  // In a field the keys type letters.
  await page.keyboard.press("b");
  assert.deepEqual([await pressed("Sell"), await focused()], ["true", "field-price"]);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("/");
  assert.equal(await focused(), "search");
  await page.keyboard.type("t?");
  assert.equal(await page.locator("#search").inputValue(), "t?");
  assert.equal(await theme(person), "light");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("2");
  assert.equal(await page.locator(".account-panel").getByRole("tab").nth(1).getAttribute("aria-selected"), "true");
  await page.keyboard.press(",");
  const settings = page.getByRole("dialog", { name: "Settings" });
  await settings.getByLabel("Single-key shortcuts").uncheck();
  await page.keyboard.press("Escape");
  await settings.waitFor({ state: "hidden" });
  await page.keyboard.press("t");
  await page.keyboard.press("?");
  assert.deepEqual([await theme(person), await list.isVisible()], ["light", false]);
  await page.reload();
  await page.getByText("Live · batch").waitFor();
  await page.keyboard.press("?");
  assert.equal(await list.isVisible(), false);
});

test("the lower panel can be resized by pointer and keyboard, and its height is stored", async () => {
  const person = await arrive();
  const { page } = person;
  const line = page.getByRole("separator", { name: "Height of the lower panel" });
  const height = async () => Math.round((await page.locator(".account-panel").boundingBox()).height);
  const { x, y, width } = await line.boundingBox();
  await page.mouse.move(x + width / 2, y + 4);
  await page.mouse.down();
  await page.mouse.move(x + width / 2, 450, { steps: 4 });
  await page.mouse.up();
  assert.deepEqual([await line.getAttribute("aria-valuenow"), await height()], ["50", 450]);
  await line.press("ArrowDown");
  await line.press("ArrowDown");
  assert.deepEqual([await line.getAttribute("aria-valuenow"), await height()], ["46", 414]);
  // The market keeps some space, and nothing leaves the window.
  await line.press("End");
  assert.equal(await page.evaluate(() => document.documentElement.scrollHeight), 900);
  await line.press("Home");
  assert.equal(await height(), 135);
  await page.reload();
  await page.getByText("Live · batch").waitFor();
  assert.equal(await height(), 135);
  await line.dblclick();
  assert.notEqual(await height(), 135);
});

test("notices report what happens to the account, and their Undo cancels an order", async () => {
  const alice = await arrive();
  const { page } = alice;
  await page.getByRole("log", { name: "Notices" }).waitFor({ state: "attached" });
  await alice.createWallet();
  await alice.getTokens();
  await toast(alice, "Received").filter({ hasText: "USDT" }).waitFor();
  await alice.order("Sell", "0.5", "2000.5");
  await toast(alice, "Order placed").getByText("is open (#").waitFor();
  // Another trader fills a part of it.
  await trader.execute(trader.order("buy", 0.2, 2000.5, { timeInForce: "ioc" }));
  await toast(alice, "Partially filled").getByText("0.2 of 0.5 filled").waitFor();
  await toast(alice, "Order placed").getByRole("button", { name: /^Undo/ }).click();
  await alice.sign();
  await toast(alice, "Order cancelled").getByText(/#\d+\./).waitFor();
  await page.waitForFunction(() => document.querySelector(".account-panel").textContent.includes("Open orders (0)"));
  // A notice of success disappears by itself.
  await page.mouse.move(700, 200);
  await toast(alice, "Order cancelled").waitFor({ state: "hidden" });
  await alice.order("Sell", "0.1", "2000.75");
  // The shortcut opens the cancel of the newest order for signing.
  await toast(alice, "Order placed").waitFor();
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("u");
  await alice.sheet.getByText(/Cancel order/).first().waitFor();
  await page.keyboard.press("Escape");
  await alice.sheet.waitFor({ state: "hidden" });
  await alice.order("Sell", "0.1", "2000.5");
  await toast(alice, "Order placed").getByRole("button", { name: "Dismiss" }).click();
  await toast(alice, "Order placed").waitFor({ state: "hidden" });
});

for (const [name, viewport] of [["360", NARROW], ["1024", { width: 1024, height: 800 }], ["1440", WIDE], ["2560", { width: 2560, height: 1440 }]]) {
  test(`at ${name} px notices cover no controls, and clicks pass through their text`, async () => {
    const alice = await arrive({ viewport });
    const { page } = alice;
    await alice.createWallet();
    await alice.getTokens();
    await alice.order("Sell", "0.1", "2000.5");
    await toast(alice, "Order placed").waitFor();
    await alice.closeForm();
    await page.evaluate(() => scrollTo(0, 0));
    // Controls whose centre lies below a notice, or below a button of a notice.
    const covered = () => page.evaluate(() => {
      const box = (element) => element.getBoundingClientRect();
      const toasts = [...document.querySelectorAll(".toast")].filter((toast) => toast.checkVisibility());
      const pressed = [...document.querySelectorAll("button, a, input, select, summary")].filter((element) => !element.closest(".toasts, dialog") && element.checkVisibility());
      const under = pressed.filter((element) => {
        const { left, top, width, height } = box(element);
        const [x, y] = [left + width / 2, top + height / 2];
        const lies = ({ left, right, top, bottom }) => x > left && x < right && y > top && y < bottom;
        return width > 2 && toasts.some((toast) => lies(box(toast))) && document.elementFromPoint(x, y);
      });
      const stolen = under.filter((element) => {
        const { left, top, width, height } = box(element);
        return document.elementFromPoint(left + width / 2, top + height / 2).closest(".toasts");
      });
      return { toasts: toasts.length, under: under.map(({ outerHTML }) => outerHTML), stolen: stolen.map(({ outerHTML }) => outerHTML) };
    });
    const { toasts, under } = await covered();
    assert.ok(toasts > 0);
    assert.deepEqual(under, [], "while trading");
    // The account tabs stay usable too, where the page scrolls to them.
    await page.locator(".account-panel").getByRole("tab", { name: "Balances" }).scrollIntoViewIfNeeded();
    assert.deepEqual((await covered()).stolen, [], "at the account");
    const { y } = await page.locator(".toast").last().boundingBox();
    assert.ok(y >= 0, "in sight");
    // In the explorer notices lie above text, and clicks pass through.
    await page.locator(".explore").getByRole("link", { name: "Batches" }).or(page.locator(".explore .menu")).first().click();
    if (await page.locator(".explore .menu").isVisible()) await page.getByRole("link", { name: "Batches" }).click();
    await page.locator("main.explorer tbody tr").first().waitFor();
    assert.deepEqual((await covered()).stolen, [], "in the explorer");
  });
}

test("a quantity that changes at its price flashes once for 300 ms, but not with reduced motion", async () => {
  const [moving, still] = [await arrive(), await arrive({ reducedMotion: "reduce" })];
  for (const { page } of [moving, still]) {
    await page.locator(".book .bids tr").first().filter({ hasText: "1,999.00" }).waitFor();
    await page.evaluate(() => {
      globalThis.flashes = [];
      document.addEventListener("animationstart", ({ target, animationName }) => {
        const { animationDuration, animationIterationCount } = getComputedStyle(target);
        const row = target.closest(".book tr");
        if (row) globalThis.flashes.push([animationName.replace("-again", ""), row.cells[0].textContent.trim(), target.cellIndex, animationDuration, animationIterationCount]);
      });
    });
  }
  const flashes = ({ page }) => page.evaluate(() => globalThis.flashes.splice(0));
  const shows = async (price, quantity) => {
    for (const { page } of [moving, still]) await page.locator(".book .bids").getByRole("row", { name: `${price}, use this bid price ${quantity}` }).waitFor();
  };
  const best = async () => moving.page.locator(".book .bids tr").first().locator("td").nth(1).textContent();
  const before = Number(await best());
  const after = (times) => (before + 0.1 * times).toFixed(4);
  for (const times of [1, 2]) {
    await trader.execute(trader.order("buy", 0.1, 1999, { clientId: `flash${times}` }));
    await shows("1,999.00", after(times));
    assert.deepEqual(await flashes(moving), [["flash-up", "1,999.00", 1, "0.3s", "1"]]);
  }
  await trader.execute(trader.cancel("flash1"));
  await shows("1,999.00", after(1));
  assert.deepEqual(await flashes(moving), [["flash-down", "1,999.00", 1, "0.3s", "1"]]);
  // A new price level shifts the rows, but changes no quantity.
  await trader.execute(trader.order("buy", 0.1, 1999.5, { clientId: "flash3" }));
  await shows("1,999.50", "0.1000");
  assert.deepEqual(await flashes(moving), []);
  await trader.execute(trader.cancel("flash2"), trader.cancel("flash3"));
  assert.deepEqual(await flashes(still), []);
});

test("the notice of a rejection gives the reason, and stays until it is dismissed", async () => {
  const alice = await arrive();
  const { page } = alice;
  await alice.createWallet();
  await alice.getTokens();
  // While the sheet is open, another order arrives that this post-only order would match: the signed order is rejected.
  await alice.fill("Sell", "0.5", "2000.25");
  await page.locator("#order-form").getByLabel("Time in force").selectOption("post_only");
  await page.locator("#order-form button[type=submit]").click();
  await alice.sheet.waitFor();
  await trader.execute(trader.order("buy", 0.1, 2000.25));
  await alice.sign();
  const notice = toast(alice, "Rejected");
  await notice.getByText(/post.only|would trade|meet/i).waitFor();
  await page.waitForTimeout(7000);
  await notice.getByRole("button", { name: "Dismiss" }).click();
  await notice.waitFor({ state: "hidden" });
});

test("reduced motion turns all motion off, and more contrast is respected", async () => {
  const person = await arrive({ reducedMotion: "reduce", contrast: "more" });
  const { page } = person;
  const durations = await page.evaluate(() => {
    const durations = [...document.querySelectorAll("*")].map((element) => getComputedStyle(element)).flatMap(({ transitionDuration, transitionProperty, animationName }) => [transitionProperty === "none" ? "0s" : transitionDuration, animationName]);
    return [...new Set(durations)];
  });
  assert.deepEqual(durations.sort(), ["0s", "none"]);
  assert.equal(await colour(person, "--muted"), "#c9d2dc");
});
