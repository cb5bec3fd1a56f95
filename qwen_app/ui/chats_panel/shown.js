// What the tab shows, as the server says it: {id, temporary, running, waiting, replay, earlier, last}. Draws the messages
// that wait above the composer, or a replay's bar in the composer's place, and hands the rest to the list.
const SPEEDS = [1, 2, 4]; // as in replay.py
let drawnReplay = "";
const drawReplay = (replay, said) => {
  document.body.classList.toggle("replaying", Boolean(replay));
  const now = JSON.stringify([replay, said]);
  if (now === drawnReplay) return; // a button that has the focus keeps it
  drawnReplay = now;
  const bar = element.querySelector("#chat-replay");
  if (!replay) return bar.replaceChildren();
  const press = (text, command, attributes = {}) =>
    tag("button", { type: "button", onclick: () => window.chatCommand(command), ...attributes }, text);
  const timing = tag("small", {}, replay.timed ? said.replay_timed : said.replay_assumed);
  const speeds = SPEEDS.map((speed, step) =>
    press(`${speed}×`, { do: "replay_speed", step }, {
      "aria-pressed": String(speed === replay.speed),
      "aria-label": `${said.replay_speed} ${speed}×`,
    }),
  );
  bar.replaceChildren(
    tag("p", { role: "status" }, said.replay_label, " ", timing),
    press(replay.paused ? said.replay_go_on : said.replay_pause, { do: "replay_pause" }),
    ...speeds,
    press(said.replay_end, { do: "replay_end" }),
  );
};
const waitingLine = ([id, text], said) => {
  const press = (what, name, sign) => {
    const onclick = ({ currentTarget: pressed }) => {
      pressed.disabled = true; // until the list is drawn anew
      if (what === "edit") {
        const composer = document.querySelector("#composer textarea");
        window.chatType([text, composer.value].filter(Boolean).join("\n"));
        composer.focus();
      }
      window.chatCommand({ do: "waiting", what, id });
    };
    return tag("button", { type: "button", title: name, "aria-label": name, onclick }, sign);
  };
  return tag(
    "div",
    { class: "waiting-message" },
    tag("span", {}, text),
    press("now", said.waiting_now, "↑"),
    press("edit", said.waiting_edit, "✎"),
    press("remove", said.waiting_remove, "✕"),
  );
};
const draw = () => {
  const shown = JSON.parse(props.value || "{}");
  if (!("id" in shown)) return;
  const said = window.chatWords || {};
  drawReplay(shown.replay, said);
  element.querySelector("#chat-waiting").replaceChildren(...shown.waiting.map((message) => waitingLine(message, said)));
  window.chatShown?.(shown);
  window.tellEarlier?.(shown.earlier);
};
watch("value", draw);
