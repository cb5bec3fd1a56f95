// Turns older than the last twenty or so are not on the page until they are asked for: a long chat stays quick.

const earlierTurns = () => Number(document.getElementById("earlier")?.value ?? 0);
const nameEarlier = (button) => (button.textContent = filled(say("show_earlier"), { turns: button.value }));
forEvery("#earlier", nameEarlier);
window.tellEarlier = (turns) => {
  const more = turns > earlierTurns();
  const button = document.getElementById("earlier") ?? make("button", { id: "earlier", type: "button" });
  button.value = turns;
  button.onclick = () => {
    keepPlace(turns);
    window.chatCommand({ do: "earlier" });
  };
  nameEarlier(button);
  if (!turns) button.remove();
  else if (!button.isConnected) document.getElementById("conversation").before(button);
  dimSoon();
  if (!more) return;
  settle(); // where a question folds older turns, it is drawn in a row that was there: none is new
  follow();
};
