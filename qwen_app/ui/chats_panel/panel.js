// The list of saved chats. It is drawn from /chats, and what is clicked goes to the chat tab by chatCommand.
// Runs once, with `element`, `props` and `watch` of the component; all addresses are relative to the page's own.
const root = () => element.querySelector("#chats-panel");
const state = (window.chats = { list: [], shown: "", search: "", temporary: false, due: "" });

const ask = async (path, options = {}) => {
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || String(answer.status));
  return body;
};
const send = (method, path, body) =>
  ask(path, { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) });

// ---- the list
let looks = 0; // at the list: one that a newer one has overtaken is not drawn
const refresh = async () => {
  const look = ++looks;
  try {
    const found = await ask("chats?search=" + encodeURIComponent(state.search));
    if (look !== looks) return;
    state.list = found.chats;
    drawList();
  } catch (error) {
    tell(error);
  }
};
window.chatsRefresh = refresh;
const tell = (error) => {
  if (!(error instanceof TypeError)) footLine(error.message); // a lost server is told by reconnect.js
};
// What a button does; what goes wrong of it is said.
const trying = (act) => (...given) => act(...given).catch(tell);

const draw = () => {
  const say = (window.chatWords = words());
  const search = tag("input", {
    type: "search",
    placeholder: say.chats_search,
    "aria-label": say.chats_search,
    value: state.search,
    oninput: (event) => {
      state.search = event.target.value;
      clearTimeout(state.searching);
      state.searching = setTimeout(refresh, 200);
    },
  });
  root().replaceChildren(
    tag(
      "div",
      { class: "chats-head" },
      button("＋ " + say.chats_new, () => leaveFor({ do: "new" }), { class: "chats-new" }),
      button("◌", () => leaveFor({ do: "temporary" }), {
        class: "chats-temporary",
        title: say.chats_temporary,
        "aria-label": say.chats_temporary,
        "aria-pressed": String(state.temporary),
      }),
    ),
    search,
    tag("nav", { class: "chats-list", "aria-label": say.chats_all }),
    tag("div", { class: "chats-said", role: "status" }),
    tag(
      "div",
      { class: "chats-foot" },
      button(say.chats_import, importChat),
      button(say.chats_delete_all, deleteAll, { class: "danger" }),
    ),
  );
  document.querySelector("#chats-sidebar > .toggle-button")?.setAttribute("aria-label", say.chats_all);
  root().onkeydown = escape;
  drawList();
};

const GROUPS = ["chats_pinned", "chats_today", "chats_yesterday", "chats_earlier"];
const groupOf = (chat) => {
  if (chat.pinned) return "chats_pinned";
  const [today, yesterday] = [0, 1].map((days) => new Date().setHours(-24 * days, 0, 0, 0) / 1000); // midnights, here
  return chat.updated_at >= today ? "chats_today" : chat.updated_at >= yesterday ? "chats_yesterday" : "chats_earlier";
};
const drawList = () => {
  const list = root()?.querySelector(".chats-list");
  if (!list || list.querySelector("input")) return; // a name is being typed
  const say = words();
  const groups = GROUPS.map((key) => [say[key], state.list.filter((chat) => groupOf(chat) === key)]);
  const drawn = groups.filter(([, chats]) => chats.length);
  const empty = tag("p", { class: "chats-none" }, state.search ? say.chats_nothing_found : say.chats_none);
  const focused = document.activeElement;
  const [holder] = [...lines].find(([, { line }]) => line.contains(focused)) ?? [];
  list.replaceChildren(
    ...(drawn.length ? [] : [empty]),
    ...drawn.flatMap(([title, chats]) => [tag("h2", {}, title), tag("ul", {}, ...chats.map(keptLine))]),
  );
  const due = lines.get(state.due)?.line.querySelector(".chats-title");
  if (due?.isConnected && (root().contains(focused) || focused === document.body)) {
    state.due = "";
    due.focus({ preventScroll: true });
    return;
  }
  if (!holder) return;
  const kept = list.contains(focused) ? focused : lines.get(holder)?.line.querySelector("." + focused.className);
  if (kept?.isConnected) kept.focus({ preventScroll: true });
};

// A line that says the same stays the same element: a menu that is open belongs to it, and the focus may be in it.
const lines = new Map();
const keptLine = (chat) => {
  const says = JSON.stringify([chat.title, chat.pinned, chat.id === state.shown, words().chats_menu]);
  if (lines.get(chat.id)?.says !== says) lines.set(chat.id, { says, line: drawLine(chat) });
  return lines.get(chat.id).line;
};
const drawLine = (chat) => {
  const current = chat.id === state.shown;
  return tag(
    "li",
    { class: current ? "current" : "" },
    button(chat.title, () => leaveFor({ do: "open", id: chat.id }), {
      class: "chats-title",
      title: chat.title,
      "aria-current": current ? "page" : null,
    }),
    button("⋯", (event) => openMenu(event.currentTarget, chat), {
      class: "chats-more",
      "aria-label": words().chats_menu + " " + chat.title,
      "aria-haspopup": "menu",
    }),
  );
};

const askFor = (command) => {
  leave(command.id ?? "");
  window.chatCommand(command);
};
const leave = (id) => {
  state.wanted = id;
  keepDraft();
  left = { draft: composer()?.value ?? "", at: Date.now() };
};
// The button above the chat is Gradio's own. This comes before what it does.
document.addEventListener("click", (event) => event.target.closest?.("#new-chat") && leave(""), true);
const leaveFor = (command) => {
  document.querySelector("#tabs button[role=tab]")?.click(); // the chat's
  askFor(command);
  if (window.matchMedia("(max-width: 860px)").matches) closeSidebar();
};
const closeSidebar = () => document.querySelector("#chats-sidebar.open .toggle-button")?.click();

// ---- what can be done with a chat
const openMenu = (at, chat) => {
  closeMenu();
  const say = words();
  const exported = (kind) => `chats/${chat.id}/export?as=${kind}`;
  // What had the focus gets it back before a dialog opens, which gives it back when it closes.
  const entry = (text, act) => button(text, (event) => (closeMenu(true), act(event)), { role: "menuitem" });
  const link = (text, href) => tag("a", { role: "menuitem", href, download: true, onclick: () => closeMenu(true) }, text);
  const guest = document.documentElement.classList.contains("guest"); // makes no links, takes nothing out
  const menu = tag(
    "div",
    { class: "chats-menu", role: "menu" },
    entry(say.chats_rename, () => rename(chat)),
    entry(chat.pinned ? say.chats_unpin : say.chats_pin, () => change(chat, { pinned: !chat.pinned })),
    entry(say.chats_replay, () => leaveFor({ do: "replay", id: chat.id })),
    ...(guest
      ? []
      : [
          entry(say.chats_share, () => share(chat)),
          link(say.chats_export_markdown, exported("markdown")),
          link(say.chats_export_html, exported("html")),
          link(say.chats_export_json, exported("json")),
        ]),
    entry(say.chats_delete, (event) => remove(chat, { byKey: event.detail === 0 })),
  );
  document.body.append(menu);
  const box = at.getBoundingClientRect();
  menu.style.left = Math.max(8, Math.min(box.left, innerWidth - menu.offsetWidth - 8)) + "px";
  menu.style.top = Math.max(8, Math.min(box.bottom + 4, innerHeight - menu.offsetHeight - 8)) + "px";
  menu.from = chat.id;
  menu.querySelector("button").focus();
};
const closeMenu = (back) => {
  const menu = document.querySelector(".chats-menu");
  if (menu && back === true) lines.get(menu.from)?.line.querySelector(".chats-more").focus();
  menu?.remove();
};
document.addEventListener("click", (event) => event.target.closest(".chats-menu, .chats-more") || closeMenu());
document.addEventListener("keydown", (event) => {
  const menu = document.querySelector(".chats-menu");
  if (!menu) return;
  const entries = [...menu.children];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (["Escape", "Tab"].includes(event.key)) closeMenu(true);
  else if (step) entries.at((entries.indexOf(document.activeElement) + step) % entries.length).focus();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

const change = async (chat, changes) => {
  try {
    await send("PATCH", `chats/${chat.id}`, changes);
  } catch (error) {
    tell(error);
  }
  await refresh();
  announce();
};
const rename = (chat) => {
  const line = lines.get(chat.id)?.line;
  if (!line?.isConnected) return; // deleted meanwhile, or not among what is searched for
  let over = false; // what is taken away while it has the focus is blurred once more
  const done = (keep, byKey) => {
    if (over) return;
    over = true;
    const title = field.value.trim();
    const renamed = keep && title && title !== chat.title ? { ...chat, title } : chat;
    field.remove();
    lines.delete(chat.id);
    state.list = state.list.map((one) => (one.id === chat.id ? renamed : one));
    drawList();
    if (byKey) lines.get(chat.id)?.line.querySelector(".chats-more").focus();
    if (renamed !== chat) change(chat, { title });
  };
  const field = tag("input", {
    value: chat.title,
    maxlength: 120,
    "aria-label": words().chats_rename,
    onblur: () => done(true),
    onkeydown: (event) => {
      if (event.key === "Enter" || event.key === "Escape") {
        event.stopPropagation();
        event.preventDefault(); // it would press the button that gets the focus
        done(event.key === "Enter", true);
      }
    },
  });
  line.replaceChildren(field);
  field.focus();
  field.select();
};
const remove = trying(async (chat, { byKey }) => {
  const shown = here() === chat.id;
  await send("DELETE", `chats/${chat.id}`);
  // One that was still being opened may have been found gone meanwhile, and another been asked for.
  if (shown && [chat.id, ""].includes(here())) askFor({ do: "new" });
  const undo = trying(async () => {
    await send("POST", `chats/${chat.id}/restore`);
    state.due = chat.id; // the focus, once its line is drawn
    await refresh();
    footLine("");
    if (shown) askFor({ do: "open", id: chat.id });
  });
  const back = button(words().chats_undo, undo);
  footLine(words().chats_deleted, back);
  if (byKey) back.focus(); // a mouse leaves the keys to what is typed next
  await refresh();
  announce();
});
const deleteAll = () => {
  const sure = trying(async () => {
    await send("DELETE", "chats");
    localStorage.keys().filter((key) => key.startsWith("draft:")).forEach((key) => localStorage.removeItem(key));
    footLine("");
    askFor({ do: "new" });
    await refresh();
    announce();
  });
  const say = words();
  const no = button(say.chats_cancel, () => footLine(""));
  footLine(say.chats_delete_all_sure, button(say.chats_delete, sure, { class: "danger" }), no);
};
const importChat = () => {
  const bring = trying(async ([file]) => {
    const made = await ask("chats/import", { method: "POST", body: await file.text() });
    await refresh();
    leaveFor({ do: "open", id: made.id });
  });
  pickFiles({ accept: ".json,application/json" }).then(bring); // the button is free meanwhile, as it may be closed
};

// A line at the foot of the list, with buttons; the empty one takes it away. It stays while one of them has the focus.
const SAID_MS = 12000;
const saidHasFocus = () => Boolean(root()?.querySelector(".chats-said")?.contains(document.activeElement));
const endFootLine = () => {
  if (saidHasFocus()) state.saying = setTimeout(endFootLine, SAID_MS);
  else footLine("");
};
const footLine = (text, ...buttons) => {
  clearTimeout(state.saying);
  const held = saidHasFocus();
  root()?.querySelector(".chats-said")?.replaceChildren(...(text ? [tag("span", {}, text), ...buttons] : []));
  if (held) root().querySelector(".chats-new").focus();
  if (text && !buttons.some((made) => made.className === "danger")) state.saying = setTimeout(endFootLine, SAID_MS);
};

const escape = (event) => {
  if (event.key !== "Escape" || !root().querySelector(".chats-said").hasChildNodes()) return;
  event.stopPropagation(); // what else it would close stays
  footLine("");
};

// ---- links for others
const share = trying(async (chat) => {
  const say = words();
  const dialog = linkDialog(say.chats_share);
  const refused = (error) => dialog.append(tag("p", { role: "alert" }, error.message)); // the list is behind the dialog
  const show = async (made) => {
    const { links } = await ask(`chats/${chat.id}/links`);
    const form = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { dateStyle: "medium", timeStyle: "short" });
    const until = (link) => form.format(link.expires_at * 1000);
    const revoke = (link) => send("DELETE", `chats/links/${link.id}`).then(() => show(null)).catch(refused);
    const top = made
      ? await linkParts(new URL(made.path, document.baseURI).href, say.chats_share)
      : [tag("div", { class: "chats-link" }, days(), button(say.chats_make_link, makeLink, { class: "primary" }))];
    dialog.fill(
      tag("p", {}, say.chats_link_note),
      ...top,
      links.length ? tag("h3", {}, say.chats_links_open) : "",
      tag("ul", {}, ...links.map((link) => tag("li", {}, until(link), button(say.chats_revoke, () => revoke(link))))),
    );
  };
  const days = () =>
    tag("select", { "aria-label": say.chats_valid }, ...[1, 7, 30].map((number) =>
      tag("option", { value: number, selected: number === 7 }, say.chats_days.replace("#", number))));
  const makeLink = () => {
    const lifetime = Number(dialog.querySelector("select").value);
    return send("POST", `chats/${chat.id}/links`, { days: lifetime }).then(show).catch(refused);
  };
  await show(null);
  document.body.append(dialog);
  dialog.showModal();
});

// ---- drafts: kept in the browser, one a chat. What the composer holds is one, whoever wrote it: the server empties it when
// it has a message, and gives back what cannot be asked.
const composer = () => document.querySelector("#composer textarea");
const draftKey = () => "draft:" + state.shown;
let draftsRead = false; // before, what the composer holds is not all that was written
let noted = ""; // another tab may have written since on what has not changed here
const keepDraft = () => {
  const field = composer();
  const now = `${draftKey()}\n${field?.value}`;
  if (!field || state.temporary || !draftsRead || now === noted) return;
  noted = now;
  storeDraft(field.value);
};
const storeDraft = (text) => {
  if (text) localStorage.setItem(draftKey(), text);
  else localStorage.removeItem(draftKey());
};
window.keepDraft = keepDraft;
const showDraft = (since = "") => {
  const early = draftsRead ? since : composer()?.value; // written while the page was coming
  const kept = localStorage.getItem(draftKey()) || "";
  const text = [kept, early === kept ? "" : early, takeProposed()].filter(Boolean).join("\n");
  draftsRead = true;
  noted = `${draftKey()}\n${kept}`;
  type(text);
  keepDraft();
};
// What was written for a chat that is gone goes on in the one that is shown in its place.
const inheritDraft = (gone, heir) => {
  const written = localStorage.getItem("draft:" + gone);
  if (!written) return false;
  localStorage.setItem("draft:" + heir, [written, localStorage.getItem("draft:" + heir)].filter(Boolean).join("\n"));
  localStorage.removeItem("draft:" + gone);
  return true;
};
// What is typed once another chat was asked for is meant for that one, though the one before is still shown.
const LEAVING_MS = 10_000;
let left = null; // what the composer held when another chat was asked for, and when that was
const leaving = () => left && Date.now() - left.at <= LEAVING_MS;
const here = () => (leaving() ? state.wanted : state.shown); // the chat that is shown, or is about to be
const takeTyped = (wasTemporary) => {
  const [asked, now] = [leaving() && left, composer()?.value ?? ""];
  left = null;
  if (!asked || now === asked.draft) return "";
  const typed = now.startsWith(asked.draft) ? now.slice(asked.draft.length) : now;
  if (typed && !wasTemporary) storeDraft(asked.draft);
  return typed;
};
// What a link proposes is not sent. It is meant for the chat of the link, else for the one that is shown in its place.
const LONGEST_PROPOSED = 20_000;
const takeProposed = () => {
  const address = new URL(location.href);
  const proposed = (address.searchParams.get("q") || "").slice(0, LONGEST_PROPOSED);
  address.searchParams.delete("q");
  if (proposed) history.replaceState(history.state, "", address);
  return proposed;
};
const type = (text) => {
  const field = composer();
  if (!field || field.value === text) return;
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
};
window.chatType = type;
document.addEventListener("input", (event) => {
  if (event.target === composer()) keepDraft();
});

// ---- which chat the tab shows: in the address, in the list, in the other tabs
window.chatShown = (shown) => {
  state.heard = true;
  state.forking = 0;
  if (shown.gone && shown.gone === addressedChat()) noteChat("", true); // nothing is there to come back to
  const moved = shown.id !== state.shown;
  const began = moved && !state.shown && shown.running && shown.id !== state.wanted; // a new chat got its name
  const since = moved && !began ? takeTyped(state.temporary) : "";
  state.temporary = shown.temporary;
  root()?.querySelector(".chats-temporary")?.setAttribute("aria-pressed", String(shown.temporary));
  document.body.classList.toggle("temporary-chat", shown.temporary);
  if (moved) {
    if (began) localStorage.removeItem("draft:"); // it was sent, but for what is in the composer
    noteChat(shown.id, began);
    state.shown = shown.id;
    if (began) keepDraft();
    drawList();
  }
  const inherited = shown.gone && inheritDraft(shown.gone, shown.id);
  if ((moved && !began) || !draftsRead || inherited) showDraft(since);
  if (state.running !== shown.running || state.last !== shown.last || moved) {
    refresh();
    if (!shown.running) [3000, 10000].forEach((wait) => setTimeout(refresh, wait)); // by then it has its title
    announce();
  }
  state.running = shown.running;
  state.last = shown.last;
};
// Back leads to the chat before. That a new one gets its name is no step.
const addressedChat = () => new URL(location.href).searchParams.get("chat") ?? "";
const noteChat = (id, began) => {
  if (addressedChat() === id) return; // it was come to by Back, or by a link
  const address = new URL(location.href);
  if (id) address.searchParams.set("chat", id);
  else address.searchParams.delete("chat");
  if (began) history.replaceState(history.state, "", address);
  else history.pushState(history.state, "", address);
};
window.addEventListener("popstate", () => {
  const id = addressedChat();
  if (id !== state.shown) askFor(id ? { do: "open", id } : { do: "new" });
});
const channel = new BroadcastChannel("qwen-chats");
const announce = () => channel.postMessage({ id: state.shown });
channel.onmessage = (event) => {
  refresh();
  if (event.data.id && event.data.id === state.shown) window.chatCommand?.({ do: "follow" });
};
const lookAgain = () => {
  if (document.visibilityState !== "visible") return;
  refresh();
  if (state.shown) window.chatCommand?.({ do: "follow" });
};
document.addEventListener("visibilitychange", lookAgain);
window.addEventListener("online", lookAgain);
window.addEventListener("pageshow", (event) => event.persisted && lookAgain());

// ---- under the answers: variants, forks
// One chat for one wish, however often the button is pressed until it is there.
const beginFork = () => {
  if (Date.now() - (state.forking || 0) < LEAVING_MS) return false;
  state.forking = Date.now();
  leave("");
  return true;
};
document.addEventListener("click", (event) => {
  const clicked = event.target.closest?.(".run-tools button");
  if (!clicked) return;
  if (clicked.name === "fork" && !beginFork()) return;
  const [turn, step] = clicked.value.split(":").map(Number);
  window.chatCommand({ do: clicked.name, turn, step });
});

// ---- the start
watch("value", draw);
draw();
refresh();
const asked = new URLSearchParams(location.search).get("chat");
const open = (tries) => {
  if (state.heard || !tries) return; // what is asked before the page listens is lost
  state.wanted = asked;
  const { lang, classList } = document.documentElement; // the server hears of the language at about the same time
  const language = classList.contains("translating") || lang.startsWith("zh") ? "zh" : "en";
  window.chatCommand({ do: "open", id: asked, language });
  setTimeout(() => open(tries - 1), 1500);
};
const start = () => {
  if (!window.chatCommand || !composer()) return setTimeout(start, 50);
  if (asked) open(10);
  else showDraft();
};
start();
// On paper the page is small, too.
const SMALL = window.matchMedia("screen and (max-width: 1100px)"); // it would cover the chat: so when somebody zooms in, too
if (SMALL.matches) setTimeout(closeSidebar, 0);
SMALL.addEventListener("change", () => SMALL.matches && closeSidebar());
