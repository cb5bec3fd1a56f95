// Under a finger, Return is a new line and the keyboard comes when it is asked for; with a mouse, typing can begin.

const TOUCH = matchMedia("(pointer: coarse)");
forEvery("#composer textarea", (area) => {
  if (!TOUCH.matches && (document.activeElement ?? document.body) === document.body) area.focus();
});
window.addEventListener(
  "keypress",
  (event) => {
    if (TOUCH.matches && event.key === "Enter" && !event.ctrlKey && event.target === composer()) event.stopImmediatePropagation();
  },
  true,
);
