// Number fields with a least and a most. What is none of their numbers, while it is typed or where nothing is left, is
// told to nobody: the server would refuse it. Who leaves the field leaves the nearest number that can be, or the last.

const lastNumbers = new WeakMap();
const isBounded = (field) => field.type === "number" && field.min !== "" && field.max !== "";
const isOff = ({ value, validity }) => value === "" || validity.rangeUnderflow || validity.rangeOverflow;
const nearest = (field) =>
  field.value === "" ? lastNumbers.get(field) ?? field.min : String(Math.min(Math.max(+field.value, +field.min), +field.max));

for (const kind of ["focus", "input"]) {
  window.addEventListener(
    kind,
    (event) => {
      const field = event.target;
      if (!isBounded(field)) return;
      if (!isOff(field)) lastNumbers.set(field, field.value);
      else if (kind === "input") event.stopImmediatePropagation();
    },
    true,
  );
}
window.addEventListener(
  "blur",
  (event) => {
    const field = event.target;
    if (!isBounded(field) || !isOff(field)) return;
    field.value = nearest(field);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  },
  true,
);
