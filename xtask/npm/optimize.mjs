// Makes wasm modules smaller, in place: node optimize.mjs MODULE…
//
// It does what `wasm-opt -Oz` does, for all modules in one process: binaryen is a wasm module of eleven megabytes
// itself, and starting it costs more than optimizing a small module.
import { readFileSync, writeFileSync } from "node:fs";
import binaryen from "binaryen";

// What rustc uses by default; browsers have had it since 2021. With more, the optimizer would use what some
// browsers do not have.
const { Features } = binaryen;
const FEATURES =
  Features.BulkMemory |
  Features.BulkMemoryOpt |
  Features.Multivalue |
  Features.MutableGlobals |
  Features.NontrappingFPToInt |
  Features.ReferenceTypes |
  Features.SignExt;

binaryen.setOptimizeLevel(2);
binaryen.setShrinkLevel(2);
binaryen.setGenerateStackIR(true);
binaryen.setOptimizeStackIR(true);
for (const file of process.argv.slice(2)) {
  const module = binaryen.readBinary(readFileSync(file));
  module.setFeatures(FEATURES);
  module.optimize();
  writeFileSync(file, module.emitBinary());
  module.dispose();
}
