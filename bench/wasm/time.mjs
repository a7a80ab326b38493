// Times what the page computes, in this JavaScript engine: node time.mjs <module>
import { readFile } from "node:fs/promises";

const COUNT = 200;
const ROUNDS = 9;

const { instance } = await WebAssembly.instantiate(await readFile(process.argv[2]), {});
const names = ["sign_raw", "check_raw", "sign_eip191", "check_eip191"];
const times = new Map(names.map((name) => [name, []]));
// By turns, so that whatever else the machine does strikes all alike; the first round warms up.
for (let round = 0; round <= ROUNDS; round++) {
  for (const name of names) {
    const start = performance.now();
    if (instance.exports[name](COUNT) !== 1) throw new Error(`${name} came out wrong`);
    if (round > 0) times.get(name).push(((performance.now() - start) * 1000) / COUNT);
  }
}
for (const [name, list] of times) {
  list.sort((a, b) => a - b);
  const median = list[ROUNDS >> 1].toFixed(0);
  console.log(`wasm, ${name.replace("_", ", ")}: ${median} us in the median, ${list[0].toFixed(0)} at least`);
}
