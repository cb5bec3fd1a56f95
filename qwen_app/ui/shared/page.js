() => {
  // Esc closes the settings drawer, else stops the answer.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    const drawer = document.querySelector("#chat-row.settings-open");
    if (drawer) drawer.classList.remove("settings-open");
    else document.querySelector("#composer .stop-button")?.click();
  });

  // What is copied is what was written: without the line about the run and without the invisible characters that
  // keep tags from being tags.
  const plain = (text) => text.split(/\n<div class="(?:run-|left-out|waiting)/)[0].replaceAll("\u2060", "");
  document.addEventListener("copy", (event) => {
    const selected = String(document.getSelection());
    if (!selected.includes("\u2060")) return;
    event.clipboardData.setData("text/plain", plain(selected));
    event.preventDefault();
  });

  // Browsers offer the clipboard to https and localhost only; elsewhere the old way still works.
  const copyByHand = async (text) => {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  const clipboard = navigator.clipboard;
  const write = clipboard ? clipboard.writeText.bind(clipboard) : copyByHand;
  const writeText = (text) => write(plain(text));
  if (clipboard) clipboard.writeText = writeText;
  else Object.defineProperty(navigator, "clipboard", { value: { writeText } });
}
