// What a model, a tool or a visitor wrote may draw: a list of what is allowed, held on the document itself, where
// Gradio's markdown renderer, its sanitiser and KaTeX have all had their turn. No second parser has to agree with them.
//
// Elements that are not on the list give way to what they hold; their attributes, classes and styles likewise. A picture
// becomes a link to it, a diagram its source. It happens before anything of a change is painted, and before Mermaid
// looks for what it would draw.
(() => {
  const DRAWN = ".md"; // all that Gradio draws from markdown
  const SVG = "http://www.w3.org/2000/svg";
  const MATHML = "http://www.w3.org/1998/Math/MathML";
  const words = (text) => new Set(text.trim().split(/\s+/));

  const ELEMENTS = {
    "http://www.w3.org/1999/xhtml": words(`a b blockquote br button code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i input ins li ol p
      pre s span strong sub summary sup table tbody td th thead tr ul`),
    [SVG]: words("svg g path line"),
    [MATHML]: words(`math semantics annotation mrow mi mo mn ms mtext mspace msup msub msubsup mfrac msqrt mroot mover
      munder munderover mtable mtr mtd mlabeledtr mstyle mpadded mphantom menclose mmultiscripts mprescripts none`),
  };
  const DROPPED = words(`script style template iframe object embed noscript xmp plaintext textarea select title head
    video audio canvas foreignobject annotation-xml image use set animate`); // what they hold is no text to read
  const ATTRIBUTES = {
    a: words("href title target rel"),
    button: words("class title type aria-expanded name value disabled"),
    input: words("type checked disabled"),
    details: words("open"),
    ol: words("start"),
    span: words("data-name"),
    td: words("align"),
    th: words("align"),
    svg: words("viewBox width height preserveAspectRatio fill stroke-width aria-hidden class style"),
    path: words("d fill"),
    line: words("x1 x2 y1 y2 stroke-width"),
    annotation: words("encoding"),
    math: words("display"),
  };
  const ANYWHERE = words("class style title role aria-hidden aria-label");
  const IN_MATHS = words(`accent accentunder align columnalign columnlines columnspacing depth display displaystyle fence
    form height linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize movablelimits notation
    rowalign rowlines rowspacing rspace scriptlevel separator stretchy symmetric voffset width`);
  const ROLES = words("alert status");

  // Classes that mean something here. Within code and formulas any word may stand: their styles reach nothing else.
  const CLASS = /^(?:language-[\w+#.-]{1,40}|code_wrap|code-bar|wrapped|copy_code_button|copy-text|check|latex-block|katex[\w-]*|token|md-link-icon|document-chips?|typed|folded|unfold|waiting|pager|held|word-difference|notes|hint|unseen|sure|unsure|rare|run-(?:scores|line|card|tools|live|error|stop|length|tool_calls|cancelled|deadline|failed))$/;
  const CLASS_WITHIN = /^(?!svelte-)[A-Za-z][\w-]{0,40}$/;
  const BUTTONS = ["copy_code_button", "unfold"];
  const TURN_BUTTONS = ["fork", "variant", "hold", "go_on", "shorter", "as_json", "again", "compare"]; // by name, in the line under an answer; their value says of which turn
  const TURN = /^\d{1,4}:-?\d{1,4}$/;

  // Styles, which KaTeX alone writes: sizes and shifts in a formula, and its colours.
  const SIZE = /^-?\d*\.?\d{1,6}(?:em|ex|px|%|mu)?$|^0$/;
  const COLOUR = /^(?:#[0-9a-f]{3,8}|[a-z]{3,20}|rgba?\([\d., %]{5,30}\))$/i;
  const STYLES = { position: /^relative$/, "border-style": /^solid$/ };
  for (const name of words(`height width min-width vertical-align top bottom left margin-left margin-right margin-top
    padding-left padding-right border-width border-bottom-width border-top-width border-right-width border-left-width
    font-size`)) STYLES[name] = SIZE;
  for (const name of words("color background-color border-color")) STYLES[name] = COLOUR;

  const LINK = /^(?:https?:\/\/|mailto:)/i;

  // A form's own names may stand before the methods and properties it has from us; these are asked past it.
  const matches = (element, selector) => Element.prototype.matches.call(element, selector);
  const unwrap = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const inside = range.extractContents();
    range.selectNode(element);
    range.deleteContents();
    range.insertNode(inside);
  };

  const holdStyle = (element) => {
    if (!element.closest(".katex")) {
      element.removeAttribute("style");
      return;
    }
    for (const name of [...element.style]) {
      if (!STYLES[name]?.test(element.style.getPropertyValue(name))) element.style.removeProperty(name);
    }
  };

  const holdClass = (element) => {
    const anyWord = element.matches("code *, .katex *, math *, svg *");
    for (const name of [...element.classList]) {
      if (!CLASS.test(name) && !(anyWord && CLASS_WITHIN.test(name))) element.classList.remove(name);
    }
  };

  const allowed = (element, name, value) => {
    const list = ATTRIBUTES[element.localName];
    if (name === "role") return ROLES.has(value);
    if (element.namespaceURI === MATHML) return list?.has(name) || IN_MATHS.has(name) || name === "class" || name === "style";
    return list?.has(name) || (element.namespaceURI !== SVG && ANYWHERE.has(name));
  };

  const holdAttributes = (element) => {
    for (const { name, value } of [...element.attributes]) {
      if (!allowed(element, name, value)) element.removeAttribute(name);
    }
    if (element.hasAttribute("class")) holdClass(element);
    if (element.hasAttribute("style")) holdStyle(element);
  };

  const holdLink = (link) => {
    if (!LINK.test(link.getAttribute("href") ?? "")) {
      unwrap(link);
      return;
    }
    link.target = "_blank"; // an answer's link never takes the page away
    link.rel = "noopener noreferrer nofollow";
  };

  const linkTo = (picture) => {
    const address = picture.getAttribute("src") ?? "";
    const text = picture.getAttribute("alt") || address.slice(0, 200);
    if (!LINK.test(address)) return text;
    const link = document.createElement("a");
    link.href = address;
    link.textContent = `🖼 ${text}`;
    holdLink(link);
    return link;
  };

  const asCode = (diagram) => {
    const box = document.createElement("pre");
    box.append(document.createElement("code"));
    box.firstChild.textContent = diagram.textContent;
    return box;
  };

  const isOurs = (element) => {
    if (element.localName === "button") {
      const ofTurn = TURN_BUTTONS.includes(element.getAttribute("name")) && TURN.test(element.getAttribute("value"));
      return (
        element.matches(".code_wrap > .code-bar > *") ||
        BUTTONS.some((name) => element.classList.contains(name)) ||
        (ofTurn && element.matches(".run-tools *"))
      );
    }
    return element.localName !== "input" || (element.type === "checkbox" && element.disabled); // of a list of tasks
  };

  const hold = (element) => {
    if (element instanceof HTMLFormElement) return unwrap(element);
    const name = element.localName.toLowerCase();
    if (name === "img") return element.replaceWith(linkTo(element));
    if (DROPPED.has(name)) return element.remove();
    if (!ELEMENTS[element.namespaceURI]?.has(element.localName) || !isOurs(element)) return unwrap(element);
    if (element.classList.contains("mermaid")) return element.replaceWith(asCode(element));
    holdAttributes(element);
    if (name === "a") holdLink(element);
    if (name === "button") element.type = "button";
  };

  const INSIDE = `${DRAWN} *`;
  const holdAll = (root) => {
    for (const element of [root, ...Element.prototype.querySelectorAll.call(root, "*")]) {
      if (!matches(element, INSIDE)) continue;
      try {
        hold(element);
      } catch {
        unwrap(element);
      }
    }
  };

  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) holdAll(node);
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
  for (const drawn of document.querySelectorAll(DRAWN)) holdAll(drawn);
})();
