// Questions: a task of the empty chat proposes one, long ones unfold, and one that is edited is edited as it was typed.

document.addEventListener("click", (event) => {
  const starter = event.target.closest("[data-preset]");
  if (starter) window.choosePreset?.(starter.dataset.preset);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest(".unfold");
  if (!button) return;
  button.closest(".message-content").querySelector(".typed").classList.remove("folded");
  button.remove();
});

forEvery("#conversation .edit-textarea", (area) => {
  if (!isTyped(area.value)) return;
  area.value = typedText(area.value);
  area.dispatchEvent(new Event("input", { bubbles: true }));
  area.setAttribute("aria-label", say("edit"));
});
const editing = () => document.querySelector("#conversation .edit-textarea");
const pressBeside = (area, key) => {
  const buttons = area.closest(".message-row").nextElementSibling.querySelectorAll("button");
  [...buttons].find((button) => button.getAttribute("aria-label") === say(key))?.click();
};
