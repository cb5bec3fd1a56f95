// Toasts are Gradio's, and come in English, as refusals of routes do: what is known is said in the visitor's language.

const pattern = (english) => {
  const parts = english.trim().split("{number}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("([\\d,]+)")}$`);
};
const KNOWN_TOASTS = Object.keys(WORDS.en)
  .filter((key) => /^(toast|refused)_/.test(key))
  .map((key) => [pattern(WORDS.en[key]), key]);
const sayToast = (element) => {
  const spot = element.firstChild?.nodeType === Node.TEXT_NODE ? element.firstChild : element;
  const said = spot.textContent.trim();
  for (const [english, key] of language() === "en" ? [] : KNOWN_TOASTS) {
    const found = english.exec(said);
    if (found) spot.textContent = say(key).replace("{number}", found[1] ?? "");
  }
};
forEvery('[data-testid="toast-text"], .toast-title-row span', sayToast);
forEvery('.chats-said span, .present-said span, .chats-share [role="alert"]', sayToast);
