// The conversation follows its end: always to what was just sent, and to an answer until the reader scrolls up.

const NEAR_PX = 80;
let following = true;
let lastTop = 0;
let place = null; // of a reader who asked for earlier turns, which come in above: where the first turn was until then
const scroller = () => document.getElementById("log");
const topOf = (turn) => document.querySelectorAll("#conversation .user-row")[turn]?.getBoundingClientRect().top;
const keepPlace = (earlier) => (place = { turn: earlier, top: topOf(0) });
for (const moves of ["wheel", "touchmove", "pointerdown", "keydown"]) {
  document.addEventListener(moves, () => (place = null), { capture: true, passive: true });
}
const isEmpty = () => document.querySelector("#conversation .placeholder-content") && !document.querySelector(".pending");
const toTheEnd = () => {
  const box = scroller();
  if (box && place) box.scrollTop += (topOf(place.turn) ?? place.top) - place.top;
  else if (box && following && !isEmpty()) box.scrollTop = box.scrollHeight;
};
const follow = () => {
  if (place) return toTheEnd();
  following = true;
  toTheEnd();
};
document.addEventListener(
  "scroll",
  ({ target: box }) => {
    if (box !== scroller()) return;
    if (box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX) following = true;
    else if (box.scrollTop < lastTop) following = false;
    lastTop = box.scrollTop;
  },
  true,
);

const growth = new ResizeObserver(toTheEnd);
forEvery("#conversation .message-wrap, #live", (messages) => growth.observe(messages));
forEvery("#conversation .user-row", follow);
forEvery("#composer .stop-button", follow); // there while an answer is written: one was just asked for
