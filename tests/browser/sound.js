// Whether a view can be used by everybody: nothing is wider than it shows, and axe finds nothing serious.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const isSound = async (page, place) => {
  // What fades in has less contrast on the way than when it is there.
  await page.evaluate(async () => {
    const ending = () => document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
    do {
      await Promise.allSettled(ending().map(({ finished }) => finished));
      await new Promise(requestAnimationFrame);
    } while (ending().length);
  });
  const wide = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll("dialog[open]")].filter((it) => it.scrollWidth > it.clientWidth).map((it) => `${it.nodeName} ${it.scrollWidth - it.clientWidth} px`));
  assert.deepEqual(wide, [], `${place} is wider than it shows`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], place);
};
