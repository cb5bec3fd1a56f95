// A code block's head: its language, and buttons that wrap its lines and save it as a file. Its words are drawn by the
// style sheet, for Gradio copies whatever text the box has.

const ENDINGS = { python: "py", javascript: "js", typescript: "ts", bash: "sh", shell: "sh", markdown: "md", rust: "rs" };
forEvery("#conversation .code_wrap", (box) => {
  if (box.querySelector(".code-bar")) return;
  const code = box.querySelector("code");
  const name = /language-([\w+#-]+)/.exec(code.className)?.[1] ?? "";
  const button = (key, onclick) => make("button", { type: "button", ariaLabel: say(key), onclick });
  const wrap = button("wrap_lines", () => box.classList.toggle("wrapped"));
  const file = `answer.${ENDINGS[name] ?? (name || "txt")}`;
  const download = button("download", () => saveFile(file, plain(code.textContent)));
  const language = make("span");
  language.dataset.name = name;
  box.prepend(make("div", { className: "code-bar" }, language, wrap, download));
});
