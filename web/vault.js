// The vault's worker. The page first sends the compiled wasm module, then numbered requests. The worker passes each one to
// the module with random bytes, which the module cannot make itself, and posts the answer with the same number.
let vault;
onmessage = async ({ data }) => {
  if (data instanceof WebAssembly.Module) {
    vault = WebAssembly.instantiate(data);
    return;
  }
  const [number, request] = data;
  try {
    const { memory, vault_input, vault_call, vault_output } = (await vault).exports;
    const seed = new Uint8Array(32);
    const at = vault_input(seed.length + request.length) >>> 0;
    const input = new Uint8Array(memory.buffer, at, seed.length + request.length);
    input.set(crypto.getRandomValues(seed));
    input.set(request, seed.length);
    seed.fill(0);
    request.fill(0);
    const length = vault_call() >>> 0;
    const answer = new Uint8Array(memory.buffer, vault_output() >>> 0, length).slice();
    postMessage([number, answer], [answer.buffer]);
  } catch {
    postMessage([number, null]);
  }
};
