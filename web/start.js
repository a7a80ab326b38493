
// Starts the page. `cargo xtask web` puts this behind wasm-bindgen's module, whose `__wbg_init` it calls: as
// one file they have one digest in index.html, and the policy allows no inline script.
const show = (text) => {
  const line = document.getElementById("loading");
  if (line) line.textContent = text;
};
const module = fetch("{{wasm}}", { integrity: "{{wasm integrity}}" });
__wbg_init({ module_or_path: module }).catch((error) => {
  console.error(error);
  show("Zellbook could not start: " + error + ". Reload the page; if that does not help, update the browser.");
});
