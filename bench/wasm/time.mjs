// Times what the page computes, in this JavaScript engine: node time.mjs <module>
import { readFile } from "node:fs/promises";

const COUNT = 200;
const ROUNDS = 9;

const { instance } = await WebAssembly.instantiate(await readFile(process.argv[2]), {});
// How often each is called in a round, and the signatures in a call.
const calls = {
  sign_raw: [COUNT, 1],
  check_raw: [COUNT, 1],
  sign_eip191: [COUNT, 1],
  check_eip191: [COUNT, 1],
  check_1024_together: [1, 1024],
};
const times = new Map(Object.keys(calls).map((name) => [name, []]));
// By turns, so that whatever else the machine does strikes all alike; the first round warms up.
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, [count, signatures]] of Object.entries(calls)) {
    const start = performance.now();
    if (instance.exports[name](count) !== 1) throw new Error(`${name} came out wrong`);
    if (round > 0) times.get(name).push(((performance.now() - start) * 1000) / (count * signatures));
  }
}
for (const [name, list] of times) {
  list.sort((a, b) => a - b);
  const median = list[ROUNDS >> 1].toFixed(0);
  console.log(`wasm, ${name.replace("_", ", ").replaceAll("_", " ")}: ${median} us a signature in the median, ${list[0].toFixed(0)} at least`);
}
