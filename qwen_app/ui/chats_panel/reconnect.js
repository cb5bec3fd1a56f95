// Says in our own words that the server is away, asks until it is back, and goes on. A page whose answer was broken off,
// or whose server is another one since, is loaded again: the server has all that was said, this browser the draft. Not so
// a temporary chat, which nobody else has: it stays to be read.
const CALM_MS = 20000; // between looks while nothing is wrong
const BUSY_MS = 5000; // while an answer comes
const AWAY_MS = 1500;
let banner = null;
let server = "";
let wasRunning = false;
let checking = null;

const running = () => Boolean(document.querySelector("#composer .stop-button"));
const temporary = () => Boolean(window.chats.temporary);

// Messages that wait to be sent wait in the server's memory. Where that is gone they come back into the composer, before
// the draft, also when the page was loaded again meanwhile.
const WAITED = "waited";
const keepWaiting = () => {
  const texts = [...document.querySelectorAll("#chat-waiting .waiting-message > span")].map((line) => line.textContent);
  if (server && texts.length) sessionStorage.setItem(WAITED, JSON.stringify({ server, chat: window.chats.shown, texts }));
};
const giveBack = (now) => {
  const kept = JSON.parse(sessionStorage.getItem(WAITED) || "null");
  sessionStorage.removeItem(WAITED);
  if (!kept || !now || kept.server === now) return;
  const before = (draft) => [...kept.texts, draft].filter(Boolean).join("\n");
  const key = "draft:" + kept.chat;
  if (window.chats.heard && window.chats.shown === kept.chat)
    window.chatType(before(composer().value));
  else localStorage.setItem(key, before(localStorage.getItem(key)));
};
const lost = () => {
  if (banner) return;
  wasRunning = running();
  keepWaiting();
  const sentence = words()[temporary() ? "server_lost_temporary" : "server_lost"] || "";
  banner = tag("div", { class: "server-lost", role: "alert" }, sentence);
  document.body.append(banner);
  document.body.classList.add("server-away");
};
const found = (now) => {
  const other = Boolean(server && now && server !== now);
  if (other && temporary()) return stay();
  if (other) keepWaiting();
  server = now || server;
  giveBack(now);
  const broken = banner && wasRunning;
  banner?.remove();
  banner = null;
  document.body.classList.remove("server-away");
  if (other || (broken && !temporary())) location.reload();
  else if (broken) window.chatCommand({ do: "follow" });
};
let ended = false; // the chat that is shown cannot go on
const stay = () => {
  ended = true;
  lost();
  banner.textContent = words().server_new_temporary || "";
};
let looks = 0; // what a look finds counts until a newer one has begun
const look = async () => {
  if (ended) return;
  const mine = ++looks;
  clearTimeout(checking);
  try {
    const ready = await fetch("ready", { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!ready.ok) throw new TypeError(String(ready.status));
    const answer = await fetch("chats/server", { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (answer.status === 401) return location.reload(); // logged out: by a restart, most likely
    const now = answer.ok ? (await answer.json()).server : "";
    if (mine === looks) found(now);
  } catch {
    if (mine === looks) lost();
  }
  if (mine !== looks) return;
  const wait = banner ? AWAY_MS : running() ? BUSY_MS : CALM_MS;
  checking = setTimeout(() => (document.visibilityState === "visible" ? look() : (checking = null)), wait);
};
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && look());
window.addEventListener("online", look);
window.addEventListener("offline", lost);

// A request of the page's own that finds nobody is the first to know.
const plain = window.fetch;
window.fetch = async (...given) => {
  try {
    return await plain(...given);
  } catch (error) {
    if (error instanceof TypeError && !banner) setTimeout(look, 0);
    throw error;
  }
};
look();
