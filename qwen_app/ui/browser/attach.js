// Documents: a button in the composer, files dropped anywhere on the chat, and files pasted. Each goes to the server as
// bytes, one after the other; what became of it goes to the chat tab by chatCommand, which draws the chips.

const LIMIT_FILE_BYTES = 32 * 2 ** 20;
const chatIsShown = () => Boolean(document.querySelector("#chat-column")?.offsetParent);
const told = (refused) => window.chatCommand({ do: "document_refused", ...refused });

const COUNTED_LIMIT_MS = 30_000; // its tokens are counted before its chip is there: some seconds, for a long one
const attachAndWait = async (id) => {
  const until = Date.now() + COUNTED_LIMIT_MS;
  const chip = `#documents button[name=detach][value="${CSS.escape(id)}"]`;
  const refused = document.querySelector("#notice .notice");
  window.chatCommand({ do: "attach", id });
  while (Date.now() < until && !document.querySelector(chip)) {
    await new Promise((later) => setTimeout(later, 100));
    if ((document.querySelector("#notice .notice") ?? refused) !== refused) return;
  }
};
const uploadOne = async (file) => {
  const name = file.name || "document.txt";
  if (file.size > LIMIT_FILE_BYTES) return told({ reason: "too_large", values: { name, limit: "32" } });
  try {
    const headers = { "content-type": "application/octet-stream", "x-file-name": encodeURIComponent(name) };
    const response = await fetch("uploads/document", { method: "POST", body: file, headers });
    const answer = await response.json();
    if (answer.id) return attachAndWait(answer.id);
    return told({ reason: answer.reason || "", values: answer.values || {}, detail: answer.detail || "" });
  } catch {
    return told({ reason: "broke_off", values: {} });
  }
};

// The line that says what is being read, while it is.
const readingLine = (text) => {
  const box = document.getElementById("documents");
  box?.parentElement.querySelector(".documents-reading")?.remove();
  if (!text) return;
  const line = Object.assign(document.createElement("div"), { className: "documents-reading", textContent: text });
  line.setAttribute("role", "status");
  box?.after(line);
};
let uploading = Promise.resolve();
const upload = (files) => {
  for (const file of files) {
    beingRead += 1;
    switchSend();
    uploading = uploading.then(async () => {
      readingLine(`${say("documents_reading")} ${file.name} …`);
      await uploadOne(file);
      readingLine("");
      beingRead -= 1;
      switchSend();
    });
  }
};

const pickFiles = () => {
  const input = Object.assign(document.createElement("input"), { type: "file", multiple: true });
  input.addEventListener("change", () => upload([...input.files]));
  window.documentPicker = input; // kept, or a browser may collect it while its dialog is open
  input.click();
};
forEvery("#composer", (box) => {
  if (box.querySelector("#attach")) return;
  const button = Object.assign(document.createElement("button"), { id: "attach", type: "button", textContent: "＋" });
  button.addEventListener("click", pickFiles);
  box.prepend(button);
  nameIt("documents_add")(button);
});
forEvery("#attach", nameIt("documents_add"));

document.addEventListener("click", (event) => {
  const button = event.target.closest("#documents button[name=detach]");
  if (button) window.chatCommand({ do: "detach", id: button.value });
});
// Ways out where documents do not fit: read in parts, or asked in the files tab. Both take the draft along.
document.addEventListener("click", (event) => {
  const way = event.target.closest("#documents .documents-ways button");
  if (!way) return;
  const question = composer()?.value ?? "";
  if (way.name === "documents_in_parts") return window.chatCommand({ do: way.name, question });
  const ids = [...document.querySelectorAll("#documents button[name=detach]")].map((button) => button.value);
  window.filesArrival = { ids, question }; // the files tab takes it, once it shows what it has
  window.filesLooked = false;
  showTab("files");
});
document.addEventListener("change", (event) => {
  const field = event.target.closest("#documents input");
  if (field) window.chatCommand({ do: "document_pages", id: field.name, pages: field.value });
});

const carriesFiles = (event) => chatIsShown() && [...(event.dataTransfer?.types ?? [])].includes("Files");
let inside = 0; // elements the dragged file has entered and not left
const dragging = (change) => {
  inside = Math.max(0, change ? inside + change : 0);
  document.getElementById("chat-column")?.classList.toggle("drop-here", inside > 0);
  document.getElementById("chat-column")?.setAttribute("data-drop", say("documents_drop"));
};
document.addEventListener("dragenter", (event) => carriesFiles(event) && dragging(1));
document.addEventListener("dragleave", (event) => carriesFiles(event) && dragging(-1));
document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
document.addEventListener(
  "drop",
  (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    dragging(0);
    upload([...event.dataTransfer.files]);
  },
  true,
);
document.addEventListener(
  "paste",
  (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || !chatIsShown() || event.clipboardData.getData("text/plain")) return;
    event.preventDefault();
    upload(files);
  },
  true,
);
