// What the other files stand on: the visitor's language, elements made and found, and a call for every one that comes onto
// the page.

const language = () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en");
const say = (key) => WORDS[language()][key];
// A text with its values in it; `{turns:turn|turns}` is the noun that goes with that number, as in `strings.py`.
const filled = (text, values) =>
  text.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, name, one, many) =>
    one === undefined ? values[name] : String(values[name]) === "1" ? one : many,
  );
window.filled = filled; // for widgets that draw themselves

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const composer = () => document.querySelector("#composer textarea");

// `care` is called with every element that matches, now and whenever one appears; once a frame, however many come.
const cares = [];
const caredFor = (root) => {
  for (const [selector, care] of cares) {
    if (root.matches?.(selector)) care(root);
    for (const element of root.querySelectorAll(selector)) care(element);
  }
};
const forEvery = (selector, care) => {
  cares.push([selector, care]);
  for (const element of document.querySelectorAll(selector)) care(element);
};
let arrived = new Set();
const takeCare = () => {
  const roots = arrived;
  arrived = new Set();
  for (const root of roots) if (root.isConnected) caredFor(root);
};
const noteArrival = (element) => {
  if (!arrived.size) requestAnimationFrame(takeCare);
  arrived.add(element);
};
new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === "attributes") noteArrival(change.target);
    for (const node of change.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) noteArrival(node);
  }
}).observe(document.body, { childList: true, subtree: true, attributeFilter: ["aria-label", "title"] });
new MutationObserver(() => noteArrival(document.body)).observe(document.documentElement, { attributeFilter: ["lang"] });
