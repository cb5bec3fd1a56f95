// What is sent is seen at once: the server's picture of the chat takes its place a moment later.

const PENDING_LIMIT_MS = 30_000;
const EMPTIED_MS = 50; // how often it is looked whether the server has emptied the composer
let pending = null; // the picture of the question
let typed = ""; // by hand, and not sent
let sent = null; // what the composer holds until the server has it, and what was typed meanwhile: behind it or in its place
let waited = null;
const settle = () => {
  pending?.remove();
  pending = null;
  document.getElementById("composer")?.classList.remove("sending");
};
// A question that cannot be asked comes back into the composer, before what was typed since.
const keepTyped = () => {
  const now = composer()?.value;
  if (now && now === sent?.source && sent.behind) window.chatType?.(now + sent.typed);
  else if (now && typed && !now.includes(typed)) window.chatType?.(`${now}\n${typed}`);
};
const giveUp = () => {
  settle();
  keepTyped();
  sent = null;
};
const showPending = (text) => {
  const conversation = document.getElementById("conversation");
  if (pending || !text.trim() || document.querySelector("#composer .stop-button")) return;
  pending = make("div", { className: "pending" }, make("div", { className: "typed", textContent: text.trim() }));
  conversation.after(pending);
  document.getElementById("composer").classList.add("sending");
  clearTimeout(waited);
  waited = setTimeout(giveUp, PENDING_LIMIT_MS);
  follow();
};
forEvery("#conversation .user-row", settle);
forEvery('#notice .notice, [data-testid="toast-text"]', giveUp);

// Whoever types on while a message is on its way keeps that: the server empties the composer when it has the message. It
// was the server where nobody's hand emptied it, and that may be seen first when the next letter comes.
const keepTypedSince = () => {
  const held = sent?.behind ? sent.source : sent?.typed;
  if (!held || composer()?.value) return;
  const since = sent.typed;
  sent = null;
  typed = "";
  if (since) window.chatType?.(since);
};
const watchEmptied = (one) => {
  keepTypedSince();
  if (sent === one) setTimeout(watchEmptied, EMPTIED_MS, one);
};
document.addEventListener("beforeinput", (event) => event.target === composer() && keepTypedSince());
document.addEventListener("input", (event) => {
  if (event.target !== composer()) return;
  typed = event.target.value;
  if (!sent) return;
  sent.behind &&= typed.startsWith(sent.source);
  sent.typed = sent.behind ? typed.slice(sent.source.length) : typed;
  document.getElementById("composer").classList.remove("sending");
});
// A double click, or Return held down, sends what is already on its way: the server would ask it twice. So it would with
// what was typed behind it.
const sendOnce = (event) => {
  const text = composer().value;
  if (sent?.behind) {
    event.preventDefault();
    event.stopImmediatePropagation();
  } else if (text.trim()) {
    sent = { source: text, typed: "", behind: true };
    watchEmptied(sent);
    showPending(text);
  }
};
document.addEventListener(
  "keypress", // the event that Gradio sends by: a word being composed raises none
  (event) => {
    if (event.target === composer() && event.key === "Enter" && !event.shiftKey) sendOnce(event);
  },
  true,
);
document.addEventListener(
  "click",
  (event) => {
    if (event.target.closest("#composer .submit-button")) sendOnce(event);
    const example = event.target.closest("#conversation .example");
    if (example) showPending(example.textContent);
  },
  true, // before Gradio's own, which sends
);
