// What the tab shows, as the server says it: {id, temporary, running, waiting, replay, earlier, last}. Draws the messages
// that wait above the composer, or a replay's bar in the composer's place, and hands the rest to the list.
const SPEEDS = [1, 2, 4]; // as in replay.py
let drawnReplay = "";
const drawReplay = (replay, words) => {
  document.body.classList.toggle("replaying", Boolean(replay));
  const now = JSON.stringify([replay, words]);
  if (now === drawnReplay) return; // a button that has the focus keeps it
  drawnReplay = now;
  const bar = element.querySelector("#chat-replay");
  if (!replay) return bar.replaceChildren();
  const button = (text, command, attributes = {}) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, ...attributes });
    made.addEventListener("click", () => window.chatCommand(command));
    return made;
  };
  const label = Object.assign(document.createElement("p"), { textContent: words.replay_label });
  label.setAttribute("role", "status");
  const timing = document.createElement("small");
  timing.textContent = replay.timed ? words.replay_timed : words.replay_assumed;
  label.append(" ", timing);
  const speeds = SPEEDS.map((speed, step) =>
    button(`${speed}×`, { do: "replay_speed", step }, {
      ariaPressed: String(speed === replay.speed),
      ariaLabel: `${words.replay_speed} ${speed}×`,
    }),
  );
  const pause = button(replay.paused ? words.replay_go_on : words.replay_pause, { do: "replay_pause" });
  bar.replaceChildren(label, pause, ...speeds, button(words.replay_end, { do: "replay_end" }));
};
const draw = () => {
  const shown = JSON.parse(props.value || "{}");
  if (!("id" in shown)) return;
  const words = window.chatWords || {};
  const list = element.querySelector("#chat-waiting");
  drawReplay(shown.replay, words);
  const act = (what, message, name, sign) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: sign, title: words[name] });
    made.setAttribute("aria-label", words[name]);
    made.addEventListener("click", () => {
      made.disabled = true; // until the list is drawn anew
      const composer = document.querySelector("#composer textarea");
      if (what === "edit") {
        window.chatType([message.text, composer.value].filter(Boolean).join("\n"));
        composer.focus();
      }
      window.chatCommand({ do: "waiting", what, id: message.id });
    });
    return made;
  };
  list.replaceChildren(
    ...shown.waiting.map(([id, text_]) => ({ id, text: text_ })).map((message) => {
      const line = Object.assign(document.createElement("div"), { className: "waiting-message" });
      const text = Object.assign(document.createElement("span"), { textContent: message.text });
      line.append(
        text,
        act("now", message, "waiting_now", "↑"),
        act("edit", message, "waiting_edit", "✎"),
        act("remove", message, "waiting_remove", "✕"),
      );
      return line;
    }),
  );
  window.chatShown?.(shown);
  window.tellEarlier?.(shown.earlier);
};
watch("value", draw);
