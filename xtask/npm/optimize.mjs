// Optimizes wasm modules for size, in place: node optimize.mjs MODULE…
//
// This equals `wasm-opt -Oz`, but one process handles all modules. Binaryen itself is a wasm module of eleven megabytes, and
// starting it takes longer than optimizing a small module.
import { readFileSync, writeFileSync } from "node:fs";
import binaryen from "binaryen";

// The features that rustc uses by default, which browsers have had since 2021. The optimizer would use any other feature in
// this list too, and then older browsers could not load the page.
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
