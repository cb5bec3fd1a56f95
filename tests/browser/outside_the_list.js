// What of the drawn messages is outside the test's own list of what markdown may become.
() => {
  const words = (text) => new Set(text.trim().split(/\s+/));
  const html = words(`A B BLOCKQUOTE BR BUTTON CODE DD DEL DETAILS DIV DL DT EM H1 H2 H3 H4 H5 H6 HR I INPUT INS LI OL P PRE S SPAN STRONG SUB
    SUMMARY SUP TABLE TBODY TD TH THEAD TR UL`);
  const others = words(`svg g path line math semantics annotation mrow mi mo mn ms mtext mspace msup msub msubsup mfrac
    msqrt mroot mover munder munderover mtable mtr mtd mlabeledtr mstyle mpadded mphantom menclose mmultiscripts
    mprescripts none`);
  const attributes = words(`href title target rel class style type checked disabled start align role aria-hidden
    aria-label aria-expanded tabindex viewBox d fill width height preserveAspectRatio stroke-width x1 y1 x2 y2 encoding data-name open`);
  const problems = [];
  for (const element of document.querySelectorAll("#conversation .md *")) {
    const note = (what) => problems.push(`${what}: ${element.outerHTML.slice(0, 200)}`);
    const inFormula = element.closest("math") !== null;
    const ofTurn = element.matches(".run-tools button:is([name=fork], [name=variant], [name=hold], [name=go_on], [name=shorter], [name=as_json], [name=again], [name=compare])") && /^\d+:-?\d+$/.test(element.value);
    if (!html.has(element.tagName) && !others.has(element.tagName)) note("element");
    for (const { name, value } of element.attributes) {
      if (ofTurn && ["name", "value", "disabled"].includes(name)) continue;
      if (name === "dir" && value === "auto" && element.matches("ol, ul, table")) continue; // names.js sets it
      if (!attributes.has(name) && !(inFormula && /^(?!on|href|src|id|name)[a-z]+$/.test(name))) note(name);
      if (name === "class" && /svelte-|(?<!language-)mermaid|modal|fixed/.test(value)) note("class");
      if (name === "style" && !element.closest(".katex")) note("style");
      if (name === "style" && /url|fixed|absolute|sticky|var|expression/.test(value)) note("style");
    }
    if (element.tagName === "A") {
      if (!/^(?:https?:\/\/|mailto:)/i.test(element.getAttribute("href"))) note("link");
      if (element.target !== "_blank" || !element.relList.contains("noopener")) note("opener");
    }
    if (element.tagName === "BUTTON" && !ofTurn && !element.matches(".copy_code_button, .unfold, .code-bar > *")) note("button");
    if (element.tagName === "INPUT" && !(element.type === "checkbox" && element.disabled)) note("input");
    if (getComputedStyle(element).position === "fixed") note("position");
  }
  return problems;
}
