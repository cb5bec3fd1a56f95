// A link for others, and the code that a phone reads it by, in a dialog: of a chat and of a guest. Their components call it.

const linkCode = async (url) => {
  const code = make("div", { className: "chats-qr" });
  const picture = await fetch(`chats/qr?url=${encodeURIComponent(url)}`);
  if (picture.ok) code.innerHTML = await picture.text(); // our own server's SVG
  return code;
};
window.linkParts = async (url, name) => {
  const copied = async () => {
    await navigator.clipboard.writeText(url);
    copy.textContent = say("copied");
  };
  const copy = make("button", { type: "button", textContent: say("copy"), onclick: copied });
  const line = make("div", { className: "chats-link" }, make("input", { readOnly: true, value: url, ariaLabel: name }), copy);
  return [line, await linkCode(url)];
};
// Its ``fill`` takes what stands between its name and its foot.
window.linkDialog = (name) => {
  const dialog = make("dialog", { className: "chats-share", ariaLabel: name });
  const close = make("button", { type: "button", textContent: "✕", ariaLabel: say("close"), onclick: () => dialog.close() });
  const foot = make("div", { className: "chats-dialog-foot" }, close);
  dialog.fill = (...parts) => dialog.replaceChildren(make("h2", { textContent: name }), ...parts, foot);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  return dialog;
};
