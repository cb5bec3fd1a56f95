// Each tab has an address of its own, “#tools”: it can be sent, and Back leads to the tab before. What is in “?q=” is
// written into the composer and never sent by itself: whoever made a link asks nothing in another's name.

const TAB_BUTTONS = "#tabs > .tab-wrapper [role=tab]";
const tabName = (button) => /^(.*)-tab-button$/.exec(button.id)?.[1];
const shownTab = () => [...document.querySelectorAll(TAB_BUTTONS)].find((button) => button.ariaSelected === "true");
const addressed = () => location.hash.slice(1) || "chat";
// A tab without room beside the others is an entry of a menu, which is known by its text alone.
const FOLDED = "#tabs > .tab-wrapper .overflow-dropdown button";
const tabButton = (name) => {
  const button = document.getElementById(`${name}-tab-button`);
  if (button?.matches(TAB_BUTTONS)) return button;
  const key = `${name.replaceAll("-", "_")}_tab`;
  const named = (entry) => Object.values(WORDS).some((words) => words[key] === entry.textContent.trim());
  return [...document.querySelectorAll(FOLDED)].find(named);
};
const showTab = (name) => {
  const button = tabButton(name);
  if (button && button.ariaSelected !== "true") button.click();
  return Boolean(button);
};
const showAddressed = () => showTab(addressed());
const noteTab = () => {
  const name = shownTab() && tabName(shownTab());
  if (!name || name === addressed()) return;
  const address = new URL(location.href);
  address.hash = name === "chat" ? "" : name;
  history.pushState(history.state, "", address);
};
let addressShown = false;
forEvery(`${TAB_BUTTONS}, ${FOLDED}`, () => (addressShown ||= showAddressed()));
forEvery("#tabs", (tabs) => {
  new MutationObserver(noteTab).observe(tabs, { subtree: true, attributeFilter: ["aria-selected"] });
});
window.addEventListener("popstate", showAddressed);
window.addEventListener("hashchange", showAddressed);
