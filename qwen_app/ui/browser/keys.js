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
// What Esc is meant for first: a list that is open closes, and a field that is searched with is emptied.
const LISTED = '[role="listbox"][aria-expanded="true"], [role="combobox"][aria-expanded="true"]';
let takesEscape = false;
window.addEventListener(
  "keydown", // before the list has closed
  ({ target }) => (takesEscape = target.matches?.(LISTED) || (target.type === "search" && target.value !== "")),
  true,
);
const isOfChat = (target) => target === document.body || Boolean(target.closest?.("#log, #composer"));
const escape = (event) => {
  if (takesEscape || document.querySelector("dialog[open]")) return; // a dialog of the browser's closes by itself
  if (closeTopmost() || !chatIsShown() || !isOfChat(event.target)) return;
  const area = editing();
  if (area) pressBeside(area, "cancel");
  else press("#composer .stop-button");
};
// Return chooses the first of what a menu finds, which is not what was typed: who types a new name means that name, and
// who wants what is found goes there by the arrows. Gradio takes a name when its field is left, or seems to be.
const NAMED = "#preset input, #files-collection input";
let moved = false; // among what is found, since something was typed
const keepName = (event) => {
  if (!event.target.matches?.(NAMED)) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") moved = true;
  else if (event.key !== "Enter") moved = false;
  if (event.key !== "Enter" || moved || event.target.getAttribute("aria-expanded") !== "true") return;
  const typed = event.target.value.trim();
  const titles = [...document.querySelectorAll('[role="option"]')].map((option) => option.ariaLabel);
  if (titles.includes(typed)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  event.target.dispatchEvent(new FocusEvent("blur"));
};
window.addEventListener("keydown", keepName, true);
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
  if (event.key === "Escape") return escape(event);
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
