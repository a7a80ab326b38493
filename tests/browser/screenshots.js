// Writes docs/screenshots: the page as a trader sees it after some trading.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Exchange, NARROW, Person, launch } from "./exchange.js";

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../docs/screenshots");
mkdirSync(folder, { recursive: true });
const shoot = (person, name) => person.page.screenshot({ path: path.join(folder, `${name}.png`) });

const exchange = await Exchange.start();
const browser = await launch();
try {
  const alice = await Person.arrive(browser, exchange, { viewport: { width: 1600, height: 900 } });
  await shoot(alice, "first-visit");
  await alice.makeKey();
  await alice.getTokens();
  const bob = await Person.arrive(browser, exchange, { viewport: NARROW, colorScheme: "light" });
  await bob.makeKey();
  await bob.getTokens();
  const asks = [["1.5", "2004.5"], ["0.75", "2006"], ["2", "2008.25"], ["0.4", "2011"], ["1.1", "2015"]];
  const bids = [["0.8", "1999.75"], ["1.2", "1998"], ["2.5", "1995.5"], ["3", "1990"], ["0.6", "1987.25"]];
  for (const [quantity, price] of asks) {
    await alice.order("Sell", quantity, price);
    await alice.outcome("applied");
  }
  for (const [quantity, price] of bids) {
    await alice.order("Buy", quantity, price);
    await alice.outcome("applied");
  }
  for (const [side, quantity, price] of [["Buy", "0.5", "2004.5"], ["Sell", "0.3", "1999.75"], ["Buy", "1.25", "2006"]]) {
    await bob.order(side, quantity, price);
    await bob.outcome("applied");
  }
  await alice.page.waitForTimeout(5500); // The header's figures are asked for every five seconds.
  await alice.fill("Buy", "1", "2008.25");
  await shoot(alice, "trading-wide");
  await alice.page.locator("#order-form button[type=submit]").click();
  await alice.page.getByText("You sign exactly this text").waitFor();
  await shoot(alice, "signing-sheet");
  await bob.page.evaluate(() => scrollTo(0, 0));
  await shoot(bob, "trading-narrow");
  await bob.fill("Sell", "0.5", "1999");
  await shoot(bob, "order-narrow");
} finally {
  await browser.close();
  await exchange.stop();
}
