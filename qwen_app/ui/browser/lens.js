// The context lens under the composer. What the next question leaves out is dimmed in the chat before it is sent; a click
// on a turn's part of the bar pins it or leaves it out; and what is too long cannot be sent, nor while a document is read.

let unsent = new Set();
let edge = -1; // the last turn for which there is no room
let over = 0;
let measuredLength = 0; // of the draft that was too long; what is shorter may be sent until it is measured
let beingRead = 0; // documents that go with the next question, and are not there yet, or not with the pages chosen
const tooMany = () => over > 0 && (composer()?.value.length ?? 0) >= measuredLength;
const heldBack = () => tooMany() || beingRead > 0;
let dimming = false;
const dim = () => {
  dimming = false;
  const rows = [".user-row", ".bot-row"].map((kind) => [...document.querySelectorAll(`#conversation ${kind}`)]);
  const first = earlierTurns();
  for (const list of rows) list.forEach((row, n) => row.toggleAttribute("data-unsent", unsent.has(first + n)));
  rows[1].forEach((row, n) => {
    if (first + n === edge) setOnce(row, "data-edge", say("left_out"));
    else row.removeAttribute("data-edge");
  });
};
const dimSoon = () => {
  if (!dimming) requestAnimationFrame(dim);
  dimming = true;
};
const readLens = () => {
  const lens = document.querySelector("#meter .meter");
  if (!lens) return;
  unsent = new Set(lens.dataset.out.split(",").filter(Boolean).map(Number));
  edge = Number(lens.dataset.edge);
  over = Number(lens.dataset.over);
  measuredLength = Number(lens.dataset.length);
  dimSoon();
  switchSend();
};
const switchSend = () => {
  for (const button of document.querySelectorAll("#composer .submit-button")) button.disabled = heldBack();
};
// In a long text a browser finds out the direction of every line anew with every key, which takes seconds.
const LONG_CHARACTERS = 20_000;
document.addEventListener("input", (event) => {
  if (event.target !== composer()) return;
  switchSend();
  event.target.toggleAttribute("data-long", event.target.value.length > LONG_CHARACTERS);
});
const SAID = { subtree: true, childList: true, attributeFilter: ["data-out", "data-edge", "data-over", "data-length"] };
forEvery("#meter", (box) => {
  new MutationObserver(readLens).observe(box, SAID); // Gradio changes what is there rather than draw it anew
  readLens();
});
forEvery("#composer .submit-button", (button) => (button.disabled = heldBack()));
forEvery("#conversation .message-row", dimSoon);
document.addEventListener("click", (event) => {
  const part = event.target.closest?.("#meter .lens-turn");
  if (!part) return;
  const [turn, step] = part.value.split(":").map(Number);
  window.chatCommand({ do: part.name, turn, step });
});
document.addEventListener(
  "keypress", // before pending.js shows the question as sent
  (event) => {
    if (!heldBack() || event.target !== composer() || event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  },
  true,
);
