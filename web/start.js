
// Starts the page. `cargo xtask web` appends this to wasm-bindgen's script, whose `__wbg_init` it calls: one file needs one
// integrity digest in index.html, and the content security policy allows no inline script.
const show = (text) => {
  const line = document.getElementById("loading");
  if (line) line.textContent = text;
};
const module = fetch("{{wasm}}", { integrity: "{{wasm integrity}}" });
__wbg_init({ module_or_path: module }).catch((error) => {
  console.error(error);
  show("Zellbook could not start: " + error + ". Reload the page; if that does not help, update the browser.");
});
