// What the presenter sees and does. Drawn from /presenter while the tab is looked at; addresses are relative to the page.
// Runs once, with `element`, `props` and `watch` of the component.
const LOOK_MS = 2000;
const root = () => element.querySelector("#presenting");
const say = (key, values = null) => (values ? window.filled(words()[key] || "", values) : words()[key] || "");
const ask = async (path, method = "GET", body = undefined) => {
  const headers = body ? { "content-type": "application/json" } : {};
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(told.detail || String(answer.status)), { status: answer.status });
  return told;
};
const tell = (text) => root().querySelector(".present-said")?.replaceChildren(...(text ? [tag("span", {}, text)] : []));
const act = async (path, method, body) => {
  try {
    tell("");
    return await ask(path, method, body);
  } catch (error) {
    tell(error.message);
  } finally {
    look();
  }
};

// ---- the frame: drawn once a language, so that what is being typed stays
const number = (name, key, value, most) =>
  tag("label", {}, say(key), tag("input", { name, type: "number", min: 1, max: most, value, required: true }));
const frame = () => {
  const invite = once(async (event) => {
    const form = event.target.elements;
    const wish = { name: form.name.value, hours: Number(form.hours.value), turns: Number(form.turns.value) };
    const guest = await act("presenter/guests", "POST", wish);
    if (!guest) return;
    form.name.value = "";
    await showLink(guest);
  });
  const submitted = (event) => {
    event.preventDefault();
    invite(event);
  };
  const name = tag("input", { name: "name", maxlength: 60, required: true, placeholder: say("present_name_hint") });
  root().replaceChildren(
    tag("div", { class: "present-stage" },
      tag("dl", { class: "present-figures" }),
      tag("div", { class: "present-hand" },
        button("", () => act(`presenter/${root().dataset.paused ? "resume" : "pause"}`, "POST"), { class: "present-pause" }),
        button(say("present_stop"), stop, { class: "present-stop" }),
      ),
      tag("p", { class: "present-state", role: "status" }),
    ),
    tag("p", { class: "present-about" }, say("present_about")),
    tag("form", { class: "present-invite", onsubmit: submitted },
      tag("label", { class: "present-name" }, say("present_name"), name),
      number("hours", "present_hours", 4, 720),
      number("turns", "present_turns", 20, 10000),
      tag("button", { class: "primary" }, say("present_invite")),
    ),
    tag("p", { class: "present-said", role: "status" }),
    tag("h2", {}, say("present_guests")),
    tag("ul", { class: "present-guests" }),
  );
};
const stop = async () => {
  const told = await act("presenter/stop", "POST");
  if (told) tell(say("present_stopped", { stopped: told.stopped }));
};

// ---- what changes
const figure = (value, text) => [tag("dt", {}, text), tag("dd", {}, value)];
const gigabytes = (bytes) => (bytes / 2 ** 30).toFixed(1);
// What a card does not tell has no figure.
const gpuFigures = (state) =>
  [
    [state.gpu_busy_share, (share) => `${Math.round(100 * share)} %`, say("present_gpu")],
    [
      state.gpu_memory_bytes,
      (bytes) => `${gigabytes(bytes)} / ${gigabytes(state.gpu_memory_total_bytes)}`,
      say("present_gpu_memory"),
    ],
    [state.gpu_celsius, (celsius) => `${Math.round(celsius)} °C`, say("present_gpu_heat")],
  ].flatMap(([value, shown, text]) => (value === null ? [] : [[shown(value), text]]));
const drawState = (state) => {
  root().dataset.paused = state.paused ? "yes" : "";
  const figures = [
    [String(state.running), say("present_running", { slots: state.slots })],
    [String(state.others), say("present_others")],
    [String(state.queued), say("present_queued")],
    [state.tokens_per_s.toFixed(0), say("present_speed")],
    ...(state.memory_bytes ? [[gigabytes(state.memory_bytes), say("present_memory")]] : []),
    ...gpuFigures(state),
  ];
  const drawn = figures.map(([value, text]) => tag("div", {}, ...figure(value, text)));
  root().querySelector(".present-figures").replaceChildren(tag("div", {}, ...figure(say("device"), state.model)), ...drawn);
  root().querySelector(".present-pause").textContent = say(state.paused ? "present_resume" : "present_pause");
  root().querySelector(".present-state").textContent = state.paused ? say("present_paused") : "";
  drawGuests(state.guests);
};
let drawn = "";
const drawGuests = (guests) => {
  const now = JSON.stringify([guests, words()]);
  if (now === drawn) return; // a button that has the focus keeps it
  drawn = now;
  const list = guests.length ? guests.map(line) : [tag("li", { class: "present-none" }, say("present_none"))];
  root().querySelector(".present-guests").replaceChildren(...list);
};
const STATES = { over: "present-over", busy: "present-busy", idle: "present-idle" };
const line = (guest) => {
  const time = new Date(guest.expires_at * 1000).toLocaleString(document.documentElement.lang || undefined, {
    dateStyle: "medium",
    timeStyle: "short",
  });
  const used = say("present_used", { used: guest.turns_used, turns: guest.turns });
  const state = guest.over ? "over" : guest.busy ? "busy" : "idle";
  const revoke = () => act(`presenter/guests/${guest.id}`, "DELETE");
  return tag("li", { class: STATES[state] },
    tag("b", {}, guest.name),
    tag("span", { class: "present-badge" }, say(`present_${state}`)),
    tag("span", {}, used),
    tag("progress", { max: guest.turns, value: guest.turns_used, "aria-label": used }),
    tag("span", { class: "present-until" }, say("present_until", { time })),
    tag("span", { class: "present-acts" },
      guest.over ? "" : button(say("present_link"), () => showLink(guest), { "aria-label": `${say("present_link")}: ${guest.name}` }),
      button(say(guest.over ? "present_forget" : "present_revoke"), revoke, {
        class: "danger",
        "aria-label": `${say(guest.over ? "present_forget" : "present_revoke")}: ${guest.name}`,
      }),
    ),
  );
};

// ---- a guest's link: by the public address where this page was opened under this machine's own
const isLocal = (url) => /^(localhost|127\.|\[::1\])/.test(new URL(url).hostname);
const baseFor = async () => {
  if (!isLocal(document.baseURI) || !root().dataset.shared) return document.baseURI;
  const shared = await ask("share-link").catch(() => ({}));
  return shared.url ? `${shared.url}/` : document.baseURI;
};
const showLink = async (guest) => {
  const url = new URL(guest.path, await baseFor()).href;
  const dialog = linkDialog(guest.name);
  dialog.fill(isLocal(url) ? tag("p", {}, say("present_local")) : "", ...(await linkParts(url, guest.name)));
  document.body.append(dialog);
  dialog.showModal();
};

// ---- the clock: it stands still while nobody looks
let asked = null;
let looks = 0; // what a look finds is not drawn once a newer one has begun
const isShown = () => document.visibilityState === "visible" && element.checkVisibility();
const look = async () => {
  const mine = ++looks;
  clearTimeout(asked);
  if (isShown()) {
    try {
      const state = await ask("presenter");
      if (mine === looks) drawState(state);
    } catch (error) {
      if (error.status === 403) return root().replaceChildren(tag("p", { class: "present-about" }, say("present_not_you")));
    }
  }
  if (mine === looks) asked = setTimeout(look, LOOK_MS);
};
const draw = () => {
  drawn = "";
  frame();
  look();
};
watch("value", draw);
draw();
document.addEventListener("visibilitychange", look);
new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && look()).observe(element);
