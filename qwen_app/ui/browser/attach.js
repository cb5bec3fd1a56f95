// Documents: a button in the composer, files dropped anywhere on the chat, and files pasted. Each goes to the server as
// bytes, one after the other; what became of it goes to the chat tab by chatCommand, which draws the chips.

const LIMIT_FILE_BYTES = 32 * 2 ** 20;
const MOST_DOCUMENTS = 8; // with one message, as in attaching.py
const chatIsShown = () => Boolean(document.querySelector("#chat-column")?.offsetParent);
const told = (refused) => window.chatCommand({ do: "document_refused", ...refused });
const chips = () => [...document.querySelectorAll("#documents li button[name=detach]")];
const chipOf = (id) => chips().find((button) => button.value === id);
const pagesOf = (chip) => chip.closest("li").querySelector("input").getAttribute("value") || "";

const COUNTED_LIMIT_MS = 30_000; // its tokens are counted before its chip is there: some seconds, for a long one
let wishes = 0; // numbers what is asked, by which a refusal is told from the one before
const askAndWait = async (wish, isSeen, waitMs = COUNTED_LIMIT_MS) => {
  const [until, asked] = [Date.now() + waitMs, String(++wishes)];
  const isAnswered = () => isSeen() || Boolean(document.querySelector(`#notice .notice[data-about="${asked}"]`));
  window.chatCommand({ ...wish, asked });
  while (Date.now() < until && !isAnswered()) await new Promise((later) => setTimeout(later, 100));
  return isAnswered();
};
const attachAndWait = (id, waitMs) => askAndWait({ do: "attach", id }, () => Boolean(chipOf(id)), waitMs);
let choices = 0;
const choosePages = (id, pages) => {
  const choice = ++choices; // the server counts one after the other: an older one is there before the newest
  const isSeen = () => choice !== choices || !chipOf(id) || pagesOf(chipOf(id)) === pages.trim();
  return askAndWait({ do: "document_pages", id, pages }, isSeen);
};
// What became of a file: the id of its text on the server, or why there is none. The files tab sends its own by it too.
window.sendDocument = async (file) => {
  const name = file.name || "document.txt";
  if (file.size > LIMIT_FILE_BYTES) return { reason: "too_large", values: { name, limit: "32" } };
  try {
    const headers = { "content-type": "application/octet-stream", "x-file-name": encodeURIComponent(name) };
    const response = await fetch("uploads/document", { method: "POST", body: file, headers });
    const { id, reason, values, detail } = await response.json();
    return { id, reason, values, detail };
  } catch {
    return { reason: "broke_off" };
  }
};
const uploadOne = async (file) => {
  const { id, ...refused } = await sendDocument(file);
  return id ? attachAndWait(id) : told(refused);
};

// The line that says what is being read, while it is.
const readingLine = (text) => {
  const box = document.getElementById("documents");
  box?.parentElement.querySelector(".documents-reading")?.remove();
  if (!text) return;
  box?.after(make("div", { className: "documents-reading", role: "status", textContent: text }));
};
// One document after the other; Send waits for them, and for pages that were chosen.
const sendWaitsFor = async (work) => {
  beingRead += 1;
  switchSend();
  await work();
  beingRead -= 1;
  switchSend();
};
let uploading = Promise.resolve();
let arriving = 0; // documents that have no chip yet
const inTurn = (said, work) => {
  const before = uploading;
  arriving += 1;
  uploading = sendWaitsFor(async () => {
    await before;
    readingLine(said);
    await work();
    readingLine("");
    arriving -= 1;
  });
};
const upload = (files) => {
  const room = Math.max(0, MOST_DOCUMENTS - chips().length - arriving);
  const leftOut = files.length - room;
  for (const file of files.slice(0, room)) inTurn(`${say("documents_reading")} ${file.name} …`, () => uploadOne(file));
  if (leftOut <= 0) return;
  const values = { count: String(leftOut), limit: String(MOST_DOCUMENTS) };
  uploading = uploading.then(() => told({ reason: "left_out", values })); // last: what is attached clears what was told
};

// Documents that are not sent yet are there again after a reload: this browser tab keeps their ids, the server their texts.
const KEPT_DOCUMENTS = "documents";
const LISTENING_TRIES = 10; // what is asked before the page listens is lost
const LISTENING_MS = 1500;
const keptDocuments = () => {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT_DOCUMENTS) || "[]");
  } catch {
    return [];
  }
};
const keepDocuments = () => {
  sessionStorage.setItem(KEPT_DOCUMENTS, JSON.stringify(chips().map((button) => [button.value, pagesOf(button)])));
};
const attachAgain = async (id, pages) => {
  for (let tries = LISTENING_TRIES; tries && !(await attachAndWait(id, LISTENING_MS)); tries--);
  if (pages && chipOf(id)) await choosePages(id, pages);
};
let attachedAgain = null;
const attachKept = () => {
  if (!window.chatCommand) return setTimeout(attachKept, 50);
  for (const [id, pages] of keptDocuments()) inTurn(say("documents_reading") + " …", () => attachAgain(id, pages));
  uploading = uploading.then(() => {
    keepDocuments();
    const changes = { childList: true, subtree: true, attributeFilter: ["value"] };
    new MutationObserver(keepDocuments).observe(document.getElementById("documents"), changes);
  });
};
forEvery("#documents", () => {
  attachedAgain ??= attachKept() ?? true; // once: Gradio may draw the box anew
});

const attachFiles = async () => upload(await pickFiles({ multiple: true }));
forEvery("#composer", (box) => {
  if (box.querySelector("#attach")) return;
  box.prepend(make("button", { id: "attach", type: "button", textContent: "＋", onclick: attachFiles }));
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
  window.filesArrival = { ids: chips().map((button) => button.value), question }; // the files tab takes it, once it shows what it has
  window.filesLooked = false;
  showTab("files");
});
document.addEventListener("change", (event) => {
  const field = event.target.closest("#documents input");
  if (field) sendWaitsFor(() => choosePages(field.name, field.value));
});

// Where files may be dropped: what takes them, and what is said meanwhile. Elsewhere a browser would leave the page for
// the file, and all that was written would be gone.
const giveToCollection = (files) => {
  window.filesGiven = files; // taken by the button, in the place of what its dialog would have picked
  document.querySelector("#files-add")?.click();
};
const TAKERS = [
  { place: "#chat-column", words: "documents_drop", take: upload },
  { place: "#files-kept", words: "files_drop_here", take: giveToCollection },
];
const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
const takerShown = () => TAKERS.find(({ place }) => document.querySelector(place)?.offsetParent);
let inside = 0; // elements the dragged file has entered and not left
const dragging = (change) => {
  inside = Math.max(0, change ? inside + change : 0);
  const taker = takerShown();
  const column = taker && document.querySelector(taker.place);
  column?.classList.toggle("drop-here", inside > 0);
  column?.setAttribute("data-drop", say(taker.words));
};
document.addEventListener("dragenter", (event) => carriesFiles(event) && dragging(1));
document.addEventListener("dragleave", (event) => carriesFiles(event) && dragging(-1));
document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  if (!takerShown()) event.dataTransfer.dropEffect = "none";
});
document.addEventListener(
  "drop",
  (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    dragging(0);
    takerShown()?.take([...event.dataTransfer.files]);
  },
  true,
);
// What is pasted as text stays text, but for what no field is quick with: that becomes a document.
const LONGEST_PASTED = 200_000; // characters
const pastedFiles = (event) => {
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (!text) return [...(event.clipboardData?.files ?? [])];
  const long = text.length > LONGEST_PASTED && event.target === composer();
  return long ? [new File([text], say("documents_pasted"), { type: "text/plain" })] : [];
};
document.addEventListener(
  "paste",
  (event) => {
    const files = chatIsShown() ? pastedFiles(event) : [];
    if (!files.length) return;
    event.preventDefault();
    upload(files);
  },
  true,
);
