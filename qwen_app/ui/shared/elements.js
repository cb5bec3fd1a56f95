// What widgets that draw themselves begin with: their words, and elements made of a name, attributes and children.
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
const button = (text, onclick, attributes = {}) => tag("button", { type: "button", onclick, ...attributes }, text);
