// Opens every sheet, dialog and tab of the trading page once, narrow and wide: in both themes nothing overflows, and axe
// finds no serious accessibility problem. Views of the explorer are tested in
// explorer.test.js.
import { test } from "node:test";
import { NARROW, PASSPHRASE, WIDE } from "./exchange.js";
import { Scene } from "./scene.js";
import { isSound } from "./sound.js";
import { Trader } from "./trader.js";

const scene = Scene.ofEachTest({
  prepare: async ({ exchange }) => {
    const maker = await Trader.arrive(exchange);
    await maker.execute(maker.order("sell", 1, 2010), maker.order("buy", 1, 1980), maker.order("sell", 0.1, 2000));
  },
});

const button = (place, name) => place.getByRole("button", { name, exact: true });
const segment = (name) => async (person) => {
  if (person.isNarrow) await person.page.getByRole("tab", { name, exact: true }).click();
};
const balances = (name) => async (person) => {
  await person.tab("Balances");
  await button(person.page, name).click();
  await person.page.locator("dialog[open] h2").waitFor();
};
const importing = async ({ dialog }) => {
  await dialog.getByText("Import private key, recovery phrase or file").click();
};
const signing = async (person) => {
  const { page } = person;
  const submit = page.locator("#order-form button[type=submit]");
  if (!(await submit.isVisible())) await page.locator(".side-bar").getByRole("button", { name: "Buy" }).click();
  await submit.click();
  await person.sheet.waitFor();
};

// Each step opens one place, beginning with the first visit: name, how to open it, how to leave it.
const WALK = [
  ["the first visit", async ({ page }) => page.locator(".welcome").waitFor()],
  ["the book", segment("Book")],
  ["the trades", segment("Trades")],
  ["the market's info", segment("Info")],
  ["the links to other views", async ({ page }) => page.locator(".explore .menu").click(), async ({ page }) => page.locator(".explore .menu").click()],
  ["the markets", async ({ page }) => {
    await page.locator(".market-picker > button").click();
    await page.getByRole("dialog", { name: "Markets" }).getByRole("row", { name: /ETH/ }).waitFor();
  }],
  ["the settings", async ({ page }) => {
    await button(page, "Settings").click();
    await page.getByLabel("Blue and orange").waitFor();
  }],
  ["the shortcuts", async ({ page }) => {
    await button(page, "Settings").click();
    await button(page, "Show shortcuts").click();
    await page.getByRole("row", { name: "Esc" }).waitFor();
  }],
  ["an empty tab of open orders", async (person) => {
    await person.tab("Open orders");
    await person.page.locator(".tab-body .empty").waitFor();
  }],

  ["the wallet of a newcomer", async (person) => {
    await person.openWallet();
    await person.dialog.locator("#new-passphrase").waitFor();
  }],
  ["the wallet with ways to import and to connect", async (person) => {
    await person.openWallet();
    await importing(person);
    await person.dialog.getByText("Connect Ethereum wallet").click();
    await person.dialog.getByText("No Ethereum wallet found in this browser.").waitFor();
  }],
  ["a passphrase that is too short", async (person) => {
    await person.openWallet();
    await person.dialog.locator("#new-passphrase").fill("short");
    await button(person.dialog, "Create wallet").click();
    await person.dialog.getByText("at least 8 characters.").last().waitFor();
  }],
  ["the phrase", async (person) => {
    await person.openWallet();
    await person.dialog.locator("#new-passphrase").fill(PASSPHRASE);
    await button(person.dialog, "Create wallet").click();
    await person.dialog.locator(".phrase li").nth(11).waitFor();
  }, () => {}],
  ["the check of the phrase, with a wrong word", async ({ dialog }) => {
    await button(dialog, "I've written them down").click();
    for (const input of await dialog.locator(".words input").all()) await input.fill("zebra");
    await button(dialog, "Confirm").click();
    await dialog.getByText("is wrong.").waitFor();
  }],
  ["the steps to the first trade", async (person) => {
    await person.tab("Balances");
    await button(person.page, "Get test tokens").click();
    await button(person.page, "Suggest an order").waitFor();
  }],
  ["the form with a suggested order", async ({ page }) => {
    await button(page, "Suggest an order").click();
    await page.locator("#order-form").getByText("Fills now").waitFor();
  }, () => {}],
  ["the signing sheet", signing],
  ["a fill, as a notice and in the activity", async (person) => {
    await signing(person);
    await person.sign();
    await person.outcome("applied");
    await person.page.getByText("Signed message").first().click();
    await person.page.locator(".toast").first().waitFor();
  }],

  ["the reminder of the phrase", async (person) => {
    await person.tab("Balances");
    await person.page.locator(".tab-body .reminder").waitFor();
  }],
  ["the wallet", async (person) => {
    await person.openWallet();
    await button(person.dialog, "Show recovery phrase").waitFor();
  }],
  ["the wallet with all its sections open", async (person) => {
    await person.openWallet();
    await importing(person);
    for (const name of ["Connect Ethereum wallet", "Auto-lock and passphrase"]) await person.dialog.getByText(name).click();
    await button(person.dialog, "Show private key").click();
    await button(person.dialog, "Remove from this browser").click();
  }],
  ["the secret key, and two accounts", async (person) => {
    await person.openWallet();
    await button(person.dialog, "Add account").click();
    await person.dialog.getByRole("radio", { name: "Account 1" }).check();
    await button(person.dialog, "Show private key").click();
    await person.dialog.locator("#reveal-passphrase").fill(PASSPHRASE);
    await button(person.dialog, "Reveal").click();
    await person.dialog.locator(".secret").waitFor();
  }],

  ["the form with an error", async (person) => {
    await person.fill("Buy", "0.00001", "1999.999");
    await person.page.locator("#order-form .error:not(:empty)").first().waitFor();
  }],
  ["the form of a market order", async (person) => {
    const form = await person.fill("Buy", "0.5", "2000");
    await button(form, "Market").click();
    await form.locator("button[type=submit]").filter({ hasText: "at market" }).waitFor();
  }, async (person) => {
    await button(person.page.locator("#order-form"), "Limit").click();
    await person.closeForm();
  }],
  ["the form with an expiry date and advanced options", async (person) => {
    const form = await person.fill("Buy", "0.5", "1990");
    await form.getByLabel("Time in force").selectOption("gtd");
    await form.getByLabel("Expires").selectOption({ label: "Custom date and time" });
    await person.page.locator("#field-expires").fill("2099-01-31T15:45");
    await form.getByText("Advanced", { exact: true }).click();
  }, async (person) => {
    await signing(person);
    await person.sign();
    await person.outcome("applied");
    await person.closeForm();
  }],

  ["the open orders", async (person) => person.tab("Open orders (2)")],
  ["the edit sheet", async (person) => {
    await person.tab("Open orders");
    await person.page.getByRole("button", { name: /^Edit order/ }).first().click();
    await person.page.getByRole("dialog", { name: /^Edit order/ }).waitFor();
  }],
  ["the sheet of a cancel", async (person) => {
    await person.tab("Open orders");
    await person.page.getByRole("button", { name: /^Cancel order/ }).first().click();
    await person.sheet.waitFor();
  }, async (person) => {
    await person.sign();
    await person.outcome("applied");
  }],
  ["the dead-man's switch, counting down", async (person) => {
    await person.tab("Open orders");
    await person.page.locator(".dead-man").getByRole("button").first().click();
    await person.sign();
    await person.outcome("applied");
    await person.tab("Open orders");
    await person.page.getByRole("timer").waitFor();
  }],
  ...["Order history", "Fills", "Ledger"].map((name) => [`the tab ${name}`, async (person) => {
    await person.tab(name);
    await person.page.locator(".tab-body tbody tr").first().waitFor();
  }]),
  ["a trading key, and the form of another", async (person) => {
    await person.tab("Trading keys");
    await button(person.page, "Create trading key").click();
    await person.sign();
    await person.outcome("applied");
    await person.tab("Trading keys");
    await person.page.getByRole("cell", { name: "this browser" }).waitFor();
  }],
  ["a deposit", balances("Deposit ETH")],
  ["a withdrawal", balances("Withdraw ETH")],
  ["a transfer", balances("Transfer ETH")],
  ["the evidence of the balances", async (person) => {
    await person.tab("Balances");
    await person.page.locator(".tab-body").getByRole("button", { name: /^Balances/ }).click();
    await person.page.locator(".verdict").filter({ hasNotText: "Checking" }).waitFor();
  }],
  ["the evidence of an order", async (person) => {
    await person.tab("Activity");
    await person.page.getByRole("button", { name: /^Check / }).first().click();
    await person.page.locator(".verdict").filter({ hasNotText: "Checking" }).waitFor();
  }],

  ["the table of candles", async (person) => {
    await segment("Chart")(person);
    await button(person.page, "Table").click();
  }],
  ["the depth", async ({ page }) => {
    await page.getByRole("tab", { name: "Depth" }).click();
    await page.locator(".depth-chart").press("End");
  }],
  ["the locked wallet", async (person) => {
    await person.openWallet();
    await button(person.dialog, "Lock").click();
    await person.dialog.locator("#unlock-passphrase").waitFor();
  }],
  ["the signing sheet of a locked wallet", async (person) => {
    await person.fill("Buy", "0.1", "1985");
    await signing(person);
    await person.sheet.locator("#unlock-passphrase").waitFor();
  }],
  ["trading in the colour-blind colours", async ({ page }) => {
    await button(page, "Settings").click();
    await page.getByLabel("Blue and orange").check();
    await page.keyboard.press("Escape");
  }],
  ["the page without its replica", async ({ page }) => {
    await scene.exchange.terminate();
    await page.locator(".banner").waitFor();
  }],
];

// Closes the open dialog and the order form.
const close = async (person) => {
  const open = person.page.locator("dialog[open]");
  if (await open.count()) {
    await person.page.keyboard.press("Escape");
    await open.waitFor({ state: "detached" });
  }
  await person.closeForm();
};

for (const [name, viewport] of [["360", NARROW], ["1440", WIDE]]) {
  test(`at ${name} px, every sheet, dialog and tab is accessible and fits, in both themes`, async (context) => {
    const person = await scene.arrive({ viewport });
    for (const [place, open, leave = close] of WALK) {
      context.diagnostic(place);
      await open(person);
      for (const colorScheme of ["light", "dark"]) {
        await person.page.emulateMedia({ colorScheme });
        await isSound(person.page, `${place}, ${colorScheme}`);
      }
      await leave(person);
    }
  });
}

for (const width of [1600, 2560]) {
  test(`at ${width} px nothing overflows`, async () => {
    const { page } = await scene.arrive({ viewport: { width, height: 900 } });
    await page.locator(".book .asks tr .price").last().waitFor();
    await isSound(page, "trading");
  });
}
