// The browser's dialog for files, which tabs open too. Where it is closed without a file, its promise is never kept.

window.pickFiles = (options) =>
  new Promise((picked) => {
    const input = make("input", { type: "file", ...options });
    input.addEventListener("change", () => picked([...input.files]));
    window.filePicker = input; // kept, or a browser may collect it while its dialog is open
    input.click();
  });
