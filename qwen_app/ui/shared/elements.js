// What components that draw themselves begin with: their words, and elements made of a name, attributes and children.
const words = () => JSON.parse(props.value || "{}");
const tag = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};
// The second click of two, or one while the first is being done, asks for nothing more.
const once = (act) => {
  let doing = false;
  return async (event) => {
    if (doing || event.detail > 1) return;
    doing = true;
    try {
      await act(event);
    } finally {
      doing = false;
    }
  };
};
const button = (text, onclick, attributes = {}) => tag("button", { type: "button", onclick: once(onclick), ...attributes }, text);
