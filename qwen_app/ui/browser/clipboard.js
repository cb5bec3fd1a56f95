// What is copied is what was written: a question as it was typed, an answer without the line about its run, and
// nothing of the invisible characters that keep tags from being tags.

const typedText = (html) => new DOMParser().parseFromString(html, "text/html").querySelector(".typed").textContent;
const isTyped = (text) => text.startsWith('<div class="typed');
const plain = (text) => {
  if (isTyped(text)) return typedText(text);
  return text.split(/\n<(?:div|details) class="(?:run-|waiting|turn-|word-)/)[0].replaceAll("\u2060", "");
};
document.addEventListener("copy", (event) => {
  const selected = String(document.getSelection());
  if (!selected.includes("\u2060")) return;
  event.clipboardData.setData("text/plain", plain(selected));
  event.preventDefault();
});

// Browsers offer the clipboard to https and localhost only; elsewhere the old way still works: from within the dialog that
// is open, for nothing outside it can be selected.
const copyByHand = async (text) => {
  const before = document.activeElement;
  const area = make("textarea", { value: text });
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  before?.focus({ preventScroll: true });
};
const clipboard = navigator.clipboard;
const write = clipboard ? clipboard.writeText.bind(clipboard) : copyByHand;
const writeText = (text) => write(plain(text));
if (clipboard) clipboard.writeText = writeText;
else Object.defineProperty(navigator, "clipboard", { value: { writeText } });
