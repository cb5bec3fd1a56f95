// A double click on a button of a tab is one click: the second would save a file again, open a second picker, or be
// refused for what the first has done already.

window.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest?.("#tabs button[id]:is(.sm, .md, .lg)");
    if (button && event.detail > 1) event.stopImmediatePropagation();
  },
  true, // before Gradio's own
);
