// Dialogs out of Gradio's boxes: a role and a name, nothing else on the page can be reached, Esc and a click outside
// close it, and what had the focus gets it back.

const open = []; // the topmost last
const neighbours = (element) => {
  const others = [];
  for (let inner = element; inner !== document.body && inner.parentElement; inner = inner.parentElement) {
    others.push(...[...inner.parentElement.children].filter((other) => other !== inner && !other.inert));
  }
  return others.filter((other) => !["SCRIPT", "STYLE", "LINK"].includes(other.tagName));
};
const openDialog = (element, name, close) => {
  if (open.some((dialog) => dialog.element === element)) return;
  const dialog = { element, close, others: neighbours(element), before: document.activeElement };
  element.setAttribute("role", "dialog");
  element.setAttribute("aria-modal", "true");
  element.setAttribute("aria-label", name);
  element.tabIndex = -1;
  for (const other of dialog.others) other.inert = true;
  open.push(dialog);
  element.focus();
};
const closed = (element) => {
  const place = open.findIndex((dialog) => dialog.element === element);
  if (place < 0) return;
  const [dialog] = open.splice(place, 1);
  for (const other of dialog.others) other.inert = false;
  for (const name of ["role", "aria-modal", "aria-label", "tabindex"]) element.removeAttribute(name);
  if (dialog.before?.isConnected) dialog.before.focus();
};
const closeTopmost = () => {
  const dialog = open.at(-1);
  dialog?.close();
  return Boolean(dialog);
};
document.addEventListener("pointerdown", (event) => {
  const dialog = open.at(-1);
  if (!dialog || event.composedPath().includes(dialog.element)) return;
  event.preventDefault();
  dialog.close();
});

// “Use from code”: Gradio makes it when it is shown and takes it away when it is closed.
forEvery(".code-dialog", (element) => {
  const isShown = () => element.isConnected && element.checkVisibility();
  const watch = new MutationObserver(() => {
    if (!isShown()) closed(element);
    if (!element.isConnected) watch.disconnect();
  });
  watch.observe(document.body, { childList: true, subtree: true, attributeFilter: ["class"] });
  const name = element.querySelector("h2")?.textContent ?? "";
  if (isShown()) openDialog(element, name, () => element.querySelector(".close-code")?.click());
});

// The settings: beside the chat where there is room, else a drawer over it.
const NARROW = matchMedia("screen and (max-width: 860px)");
const settings = () => document.getElementById("settings-panel");
const chatRow = () => document.getElementById("chat-row");
const closeSettings = () => {
  chatRow().classList.remove("settings-open");
  closed(settings());
};
const foldSettings = (folded) => {
  chatRow().classList.toggle("settings-folded", folded);
  document.getElementById("toggle-settings")?.setAttribute("aria-expanded", String(!folded));
  localStorage.setItem("settings-folded", folded ? "yes" : "");
};
const toggleSettings = () => {
  if (!NARROW.matches) return foldSettings(!chatRow().classList.contains("settings-folded"));
  chatRow().classList.add("settings-open");
  openDialog(settings(), say("settings"), closeSettings);
};
document.addEventListener("click", (event) => {
  if (event.target.closest("#close-settings")) closeSettings();
  if (event.target.closest("#toggle-settings")) toggleSettings();
});
forEvery("#chat-row", () => foldSettings(Boolean(localStorage.getItem("settings-folded"))));
NARROW.addEventListener("change", () => settings() && closed(settings()));
