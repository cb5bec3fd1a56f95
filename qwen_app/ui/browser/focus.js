// Who uses keys goes on where the keys were: what was pressed is drawn anew or goes, as a message that waited and the
// button that stops, what was edited in is taken away, and a browser lets the focus fall to the page. It goes to what has
// the same name in the same place, else to the composer.

const DRAWN_ANEW = "#conversation, #chat-waiting, #composer";
const PRESSED = ":is(button, summary, textarea)";
const nameOf = (element) =>
  element.matches(".edit-textarea") ? say("edit") : element.name || element.getAttribute("aria-label") || element.tagName;
const namesakes = (name, region) =>
  [...document.querySelectorAll(`#${region} ${PRESSED}`)].filter((element) => nameOf(element) === name);
const turnsShown = () => document.querySelectorAll("#conversation .user-row").length;
let held = null; // what had the focus when a key was pressed last
const fallen = () => held && !held.element.isConnected && document.activeElement === document.body;
const holdFocus = () => {
  if (fallen()) return; // a key that comes before it was passed on
  const element = document.activeElement?.closest?.(`:is(${DRAWN_ANEW}) ${PRESSED}`);
  const region = element?.closest(DRAWN_ANEW).id;
  held = element && { element, region, place: namesakes(nameOf(element), region).indexOf(element), turns: turnsShown() };
};
const DRAWN_MS = 80; // until what was drawn has its names
const passFocusOn = () => {
  if (!fallen()) return;
  const those = turnsShown() === held.turns ? namesakes(nameOf(held.element), held.region) : [];
  const near = [held.place, held.place + 1, held.place - 1].map((place) => those[place]);
  const successor = near.find((element) => element?.checkVisibility() && !element.disabled);
  (successor ?? composer())?.focus({ preventScroll: true });
  held = successor ? { ...held, element: successor } : null;
};
document.addEventListener("keydown", holdFocus, true);
document.addEventListener("pointerdown", () => (held = null), true);
forEvery(DRAWN_ANEW, (box) => {
  let waiting = 0;
  new MutationObserver(() => {
    clearTimeout(waiting);
    if (held && !held.element.isConnected) waiting = setTimeout(passFocusOn, DRAWN_MS);
  }).observe(box, { childList: true, subtree: true });
});
