// The likeliest next tokens, as bars. They come once, with their log-probabilities; what temperature and top-p make of
// them is computed here, so that a slider moves the picture and asks the server nothing.
// Runs once, with `element`, `props` and `watch` of the component.
const BARS = 12;
const slider = (id, otherwise) => Number(document.querySelector(`#${id} input[type=number]`)?.value ?? otherwise);

// Probabilities after temperature, in order, the rest of the vocabulary last. The rest is taken for tokens as likely as
// the last that is known: how many there are follows from what the known ones leave.
const heated = (logprobs, temperature) => {
  const rest = Math.max(0, 1 - logprobs.reduce((sum, logprob) => sum + Math.exp(logprob), 0));
  if (temperature <= 0) return [...logprobs.map((_, place) => Number(place === 0)), 0];
  const weight = (logprob) => Math.exp((logprob - logprobs[0]) / temperature);
  const last = logprobs.at(-1);
  const weights = [...logprobs.map(weight), (rest / Math.exp(last)) * weight(last)];
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((value) => value / sum);
};
// How many of them can be drawn: top-k first, then the fewest that reach top-p of what it leaves.
const drawable = (probabilities, topK, topP) => {
  const most = topK > 0 ? Math.min(topK, probabilities.length) : probabilities.length;
  const left = probabilities.slice(0, most).reduce((a, b) => a + b);
  let sum = 0;
  const enough = probabilities.findIndex((probability) => (sum += probability / left) >= topP - 1e-9);
  return Math.min(most, enough < 0 ? most : enough + 1);
};

const draw = () => {
  const box = element.querySelector("#next-token");
  const said = JSON.parse(props.value || "{}");
  if (said.problem) return box.replaceChildren(tag("p", { class: "hint" }, said.problem));
  if (!said.tokens) return box.replaceChildren();
  const probabilities = heated(said.tokens.map(([, logprob]) => logprob), slider("temperature", 1));
  const drawn = drawable(probabilities, said.top_k, slider("top-p", 1));
  const row = (text, place) => {
    const percent = `${(100 * probabilities[place]).toFixed(1)} %`;
    const bar = tag("i");
    bar.style.width = `${100 * probabilities[place]}%`;
    const line = tag("li", { title: `${text} · ${percent}` }, tag("code", {}, text), tag("span", {}, bar), tag("b", {}, percent));
    line.toggleAttribute("data-cut", place >= drawn);
    return line;
  };
  const rows = said.tokens.slice(0, BARS).map(([text], place) => row(text.replaceAll("\n", "⏎").replaceAll(" ", "␣") || "∅", place));
  const others = said.tokens.length;
  const list = tag("ol", { "aria-label": said.words.label }, ...rows, row(said.words.others, others));
  const sentence = said.words.drawn.replace("#", drawn > others ? "∞" : drawn);
  box.replaceChildren(list, tag("p", { class: "hint" }, sentence));
};
watch("value", draw);
document.addEventListener("input", (event) => {
  if (event.target.closest?.("#temperature, #top-p")) setTimeout(draw, 0);
});
