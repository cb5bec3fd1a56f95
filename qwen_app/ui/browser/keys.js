// Keys. Esc leaves what is open, topmost first: a dialog, a question being edited, an answer being written.

// The keys that choose and confirm a word being composed are the input method's, whatever they would do here. Safari says
// so by the old code alone.
const COMPOSING = 229;
window.addEventListener(
  "keydown",
  (event) => {
    if (event.isComposing || event.keyCode === COMPOSING) event.stopImmediatePropagation();
  },
  true,
);

const isWriting = (element) => element.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea, [contenteditable=true]");
const recalled = () => {
  const questions = document.querySelectorAll("#conversation .user-row .typed");
  return questions.item(questions.length - 1)?.textContent;
};
const writeDraft = (text) => {
  const area = composer();
  area.value = text;
  area.dispatchEvent(new Event("input", { bubbles: true }));
  area.setSelectionRange(text.length, text.length);
};
const escape = () => {
  const area = editing();
  if (document.querySelector("dialog[open]") || closeTopmost()) return; // a dialog of the browser's closes by itself
  if (area) pressBeside(area, "cancel");
  else press("#composer .stop-button");
};
const withControl = (event) => {
  if (event.key.toLowerCase() === "k") {
    event.preventDefault();
    showPalette();
  }
  if (event.key !== "Enter") return;
  if (editing()) return pressBeside(editing(), "submit");
  if (event.target !== composer()) return;
  event.preventDefault();
  event.target.dispatchEvent(new KeyboardEvent("keypress", { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true }));
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return escape();
  if (event.ctrlKey || event.metaKey) return withControl(event);
  if (event.key === "ArrowUp" && event.target === composer() && !event.target.value && recalled()) {
    event.preventDefault();
    return writeDraft(recalled());
  }
  if (isWriting(event.target) || document.querySelector("dialog[open]") || open.length) return;
  if (event.key === "?") showKeys();
  if (event.key === "/") {
    event.preventDefault();
    composer()?.focus();
  }
});
