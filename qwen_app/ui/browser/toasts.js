// Toasts are Gradio's, and come in English, as refusals of routes do: what is known is said in the visitor's language.

const pattern = (english) => {
  const parts = english.trim().split("{number}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("(?<number>[\\d,]+)")}(?:(?<=\\.)\\s+(?<rest>.+))?$`, "s"); // one may follow another
};
const KNOWN_TOASTS = Object.keys(WORDS.en)
  .filter((key) => /^(toast|refused)_/.test(key))
  .map((key) => [pattern(WORDS.en[key]), key]);
const translatedToast = (said) => {
  for (const [english, key] of KNOWN_TOASTS) {
    const { number = "", rest = "" } = english.exec(said)?.groups ?? {};
    if (english.test(said)) return filled(say(key), { number }) + translatedToast(rest);
  }
  return said;
};
const sayToast = (element) => {
  const spot = element.firstChild?.nodeType === Node.TEXT_NODE ? element.firstChild : element;
  if (language() !== "en") spot.textContent = translatedToast(spot.textContent.trim());
};
forEvery('[data-testid="toast-text"], .toast-title-row span', sayToast);
forEvery('.chats-said span, .present-said span, .chats-share [role="alert"]', sayToast);
