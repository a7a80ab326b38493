// Checks that a view fits and is accessible: nothing overflows, and axe finds no serious problem.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const isSound = async (page, place) => {
  // Wait for animations: an element that fades in has less contrast than at the end.
  await page.evaluate(async () => {
    const ending = () => document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
    do {
      await Promise.allSettled(ending().map(({ finished }) => finished));
      await new Promise(requestAnimationFrame);
    } while (ending().length);
  });
  const wide = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll("dialog[open]")].filter((it) => it.scrollWidth > it.clientWidth).map((it) => `${it.nodeName} ${it.scrollWidth - it.clientWidth} px`));
  assert.deepEqual(wide, [], `${place} overflows`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], place);
};
