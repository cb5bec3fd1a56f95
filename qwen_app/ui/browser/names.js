// Names and roles, for screen readers and tooltips, of what Gradio leaves without or has in English only.

const setOnce = (element, name, value) => {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};
const nameIt = (key) => (element) => {
  setOnce(element, "aria-label", say(key));
  setOnce(element, "title", say(key));
};
const CONTROLS = {
  "#composer .submit-button": "send",
  "#composer .stop-button": "stop",
  "#conversation .scroll-down-button-container button": "scroll_down",
  ".copy_code_button": "copy",
  "#tabs > .tab-wrapper .overflow-menu > button": "more_tabs",
};
for (const [selector, key] of Object.entries(CONTROLS)) forEvery(selector, nameIt(key));

// Gradio's own labels, as its English and Chinese packs have them, and our word for each.
const GRADIOS = {
  copy: ["Copy", "copy"],
  copy_message: ["Copy message", "复制"],
  copied: ["Copied message", "Copied", "已复制"],
  retry: ["Retry", "重试", "重新回答"],
  undo: ["Undo", "撤销", "撤回"],
  edit: ["Edit", "编辑"],
  submit: ["Submit"],
  cancel: ["Cancel", "取消"],
  download: ["Download", "下载"],
  fold: ["Fold line", "Unfold line", "折叠"],
  scroll_down: ["Scroll down", "回到最新"],
  nothing_yet: ["Empty value", "暂无内容"],
  code_editor: ["Code input container"],
};
const ours = new Map(Object.entries(GRADIOS).flatMap(([key, labels]) => labels.map((label) => [label, key])));
forEvery("[aria-label], [title]", (element) => {
  for (const name of ["aria-label", "title"]) {
    const label = element.getAttribute(name);
    if (!label) continue;
    const key = ours.get(label) ?? Object.keys(GRADIOS).find((known) => WORDS.en[known] === label || WORDS.zh[known] === label);
    if (key) setOnce(element, name, say(key));
    const field = /^(?:number input|range slider) for (.*)$/.exec(label);
    if (field) setOnce(element, name, field[1]);
  }
});

// Words that need one are explained on hover.
const EXPLAINED = {
  "#temperature": "about_temperature",
  "#top-p": "about_top_p",
  "#max-tokens": "about_max_tokens",
  "#context-tokens": "about_context",
  "#meter": "about_context",
  "#seed": "about_seed",
};
for (const [selector, key] of Object.entries(EXPLAINED)) forEvery(selector, (box) => setOnce(box, "title", say(key)));

// A message is read by what it says, not by its source.
const MESSAGES = { user: "you_said", bot: "answer_said" };
forEvery("#conversation [data-testid=user], #conversation [data-testid=bot]", (message) => {
  setOnce(message, "role", "article");
  setOnce(message, "aria-label", say(MESSAGES[message.dataset.testid]));
});
forEvery("#conversation .bubble-wrap", (log) => setOnce(log, "aria-label", say("chat_label")));
forEvery("#conversation .examples", (list) => list.removeAttribute("role"));
forEvery("#conversation .placeholder-content", (welcome) => welcome.removeAttribute("role"));
forEvery("#conversation .example", (example) => example.removeAttribute("aria-label"));

// Gradio's icons have names in English; the buttons around them have ours.
forEvery("svg title", (title) => title.remove());
forEvery("button svg[aria-label]", (icon) => icon.removeAttribute("aria-label"));

// Lists and tables have their marks and their first column where their language begins; the style sheet does the rest.
forEvery(":is(#log, .drawn-answer) :is(ul, ol, table)", (box) => setOnce(box, "dir", "auto"));

// The number of the last item has room, however many digits it has.
forEvery(":is(#log, .drawn-answer) ol > li:last-child", ({ parentElement: list }) => {
  const digits = String(list.start + list.children.length - 1).length;
  const fits = `digits-${digits > 4 ? "many" : digits}`;
  for (const name of [...list.classList]) if (name.startsWith("digits-") && name !== fits) list.classList.remove(name);
  list.classList.add(fits);
});

// Tasks in an answer are boxes that are ticked or not, and cannot be pressed.
forEvery(".prose li > input[type=checkbox]", (box) => setOnce(box, "aria-label", say(box.checked ? "task_done" : "task_open")));

// What scrolls can be scrolled by key.
const SCROLLS = "pre, .prose table, .cm-scroller";
const MAY_SCROLL = ".katex-display, .message-content, .drawn-answer";
forEvery(`${SCROLLS}, ${MAY_SCROLL}`, (box) => {
  const scrolls = box.matches(SCROLLS) || box.scrollWidth > box.clientWidth;
  if (scrolls && box.tabIndex < 0) box.tabIndex = 0;
});
// Gradio gives this to a box without a role, which may have no name.
forEvery(".empty[aria-label]", (box) => setOnce(box, "role", "img"));
