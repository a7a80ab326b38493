// Starts the page: a module of its own, since the policy allows no inline script.
import init from "{{script}}";

const show = (text) => {
  const line = document.getElementById("loading");
  if (line) line.textContent = text;
};
init({ module_or_path: "{{wasm}}" }).catch((error) => {
  console.error(error);
  show("Zellbook could not start: " + error + ". Reload the page; if that does not help, update the browser.");
});
