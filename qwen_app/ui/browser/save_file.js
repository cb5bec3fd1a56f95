// A text as a file of the visitor's: the browser makes it, and nothing is written on the server. Tabs call it too.

window.saveFile = (name, text, type = "text/plain") => {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};
