// A double click on a button of a tab, or on one under an answer that makes something, is one click: the second would
// save a file again, make a second chat, or be refused for what the first has done already.

const MAKES = ["fork", "again", "go_on", "shorter", "as_json"].map((name) => `[name="${name}"]`);
const ONCE = `#tabs button[id]:is(.sm, .md, .lg), .run-tools button:is(${MAKES})`;

window.addEventListener(
  "click",
  (event) => {
    if (event.detail > 1 && event.target.closest?.(ONCE)) event.stopImmediatePropagation();
  },
  true, // before Gradio's own
);
