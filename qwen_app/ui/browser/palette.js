// Ctrl+K: everything the page can do, found by a few letters. “?”: the keys.

const press = (selector) => document.querySelector(selector)?.click();
const lastButton = (key) =>
  [...document.querySelectorAll("#conversation .message-buttons button")]
    .filter((button) => button.getAttribute("aria-label") === say(key))
    .at(-1)
    ?.click();
const COMMANDS = {
  new_chat: () => press("#new-chat"),
  focus_composer: () => composer()?.focus(),
  retry: () => lastButton("retry"),
  copy_answer: () => lastButton("copy_message"),
  settings: () => press("#toggle-settings"),
  use_from_code: () => press("#chat-use-code"),
  switch_look: () => switchLook(),
  switch_notice: () => switchNotice(),
  switch_language: () => press("#language input:not(:checked)"),
  chat_tab: () => showTab("chat"),
  json_lab_tab: () => showTab("json-lab"),
  tools_tab: () => showTab("tools"),
  compare_tab: () => showTab("compare"),
  files_tab: () => showTab("files"),
  scenarios_tab: () => showTab("scenarios"),
  performance_tab: () => showTab("performance"),
  status_tab: () => showTab("status"),
  presenting_tab: () => showTab("presenting"),
  shortcuts: () => showKeys(),
};
// Guests have the chat alone.
const DEVELOPERS = /_tab$|^settings$|^use_from_code$/;
const commands = () =>
  Object.keys(COMMANDS).filter((name) => !document.documentElement.classList.contains("guest") || !DEVELOPERS.test(name));
const KEYS = {
  "Enter": "key_send",
  "Shift+Enter": "key_line",
  "Esc": "key_escape",
  "↑": "key_recall",
  "Ctrl+K": "key_palette",
  "Ctrl+Enter": "key_edit",
  "/": "focus_composer",
  "?": "shortcuts",
};
const showModal = (dialog) => {
  document.querySelector("dialog.sheet")?.remove();
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.querySelector(".gradio-container").append(dialog);
  dialog.showModal();
};
const showKeys = () => {
  const list = make("dl");
  for (const [keys, key] of Object.entries(KEYS)) {
    list.append(make("dt", {}, make("kbd", { textContent: keys })), make("dd", { textContent: say(key) }));
  }
  const close = make("button", { textContent: say("close"), type: "button" });
  const dialog = make("dialog", { className: "sheet", ariaLabel: say("shortcuts") });
  close.onclick = () => dialog.close();
  dialog.append(make("h2", { textContent: say("shortcuts") }), list, close);
  showModal(dialog);
};
const showPalette = () => {
  const field = make("input", { type: "text", placeholder: say("palette_hint"), ariaLabel: say("palette_hint") });
  const list = make("ul", { id: "palette-list" });
  const dialog = make("dialog", { className: "sheet palette", ariaLabel: say("palette_hint") }, field, list);
  const run = (name) => {
    dialog.close();
    COMMANDS[name]();
  };
  const fill = () => {
    const wanted = field.value.trim().toLowerCase();
    const found = commands().filter((name) => `${say(name)} ${WORDS.en[name]}`.toLowerCase().includes(wanted));
    const items = found.map((name) => make("button", { type: "button", textContent: say(name), onclick: () => run(name) }));
    list.replaceChildren(...items.map((item) => make("li", {}, item)));
  };
  field.oninput = fill;
  dialog.addEventListener("keydown", (event) => {
    const items = [...list.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) items[(at + step + items.length) % items.length]?.focus();
    else if (event.key === "Enter" && at < 0) items[0]?.click();
    else return;
    event.preventDefault();
  });
  fill();
  showModal(dialog);
};
document.addEventListener("click", (event) => {
  if (event.target.closest("#open-palette")) showPalette();
  if (event.target.closest("#switch-look")) switchLook();
});
