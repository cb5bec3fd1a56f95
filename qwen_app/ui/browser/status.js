// What the machine is doing: one stream from the server while the page is looked at, a dot in the header, and plots.

const KEPT_SAMPLES = 300; // as in live_status.py
let samples = [];
let stream = null;
const SHOWN = {
  memory_bytes: (value) => (value / 2 ** 30).toFixed(2),
  reused_share: (value) => Math.round(100 * value),
  gpu_busy_share: (value) => Math.round(100 * value),
  gpu_memory_bytes: (value) => (value / 2 ** 30).toFixed(1),
  gpu_celsius: (value) => Math.round(value),
  running: (value) => value,
  queued: (value) => value,
};
const drawPulse = () => {
  const now = samples.at(-1);
  const box = document.querySelector("#pulse a");
  if (!box) return;
  box.className = !now ? "" : now.queued ? "busy" : "idle";
  const words = now ? filled(say("pulse"), now) : "";
  box.querySelector("span").textContent = words;
  setOnce(box, "aria-label", `${say("status_tab")}: ${words}`);
};
const drawPlot = (figure) => {
  const values = samples.map((sample) => sample[figure.dataset.field]);
  const known = values.filter((value) => value !== null);
  if (figure.dataset.field.startsWith("gpu_")) figure.hidden = !known.length;
  const top = Math.max(...known, 1e-9) * 1.1;
  const from = KEPT_SAMPLES - values.length;
  let pen = "M"; // a value that stands alone is a short dash
  const points = values.map((value, place) => {
    if (value === null) return "";
    const point = `${pen}${from + place - 1} ${(79 - (77 * value) / top).toFixed(1)}h1`;
    pen = "L";
    return point;
  });
  figure.querySelector("path").setAttribute("d", points.join(""));
  const format = SHOWN[figure.dataset.field] ?? ((value) => value.toFixed(1));
  figure.querySelector("[data-value]").textContent = known.length ? format(known.at(-1)) : "–";
};
const drawStatus = () => {
  drawPulse();
  if (!document.getElementById("status-plots")?.checkVisibility()) return;
  for (const figure of document.querySelectorAll("#status-plots figure")) drawPlot(figure);
};
// Browsers allow six connections to one server, for all of its tabs: one that is looked at listens, and tells the others.
const tabs = new BroadcastChannel("status");
const take = (kept) => {
  samples = kept;
  drawStatus();
};
tabs.onmessage = (event) => take(event.data);
const read = () =>
  new Promise((end) => {
    stream = new EventSource("status/stream");
    stream.onopen = () => (samples = []); // what is kept comes first
    stream.onmessage = (event) => {
      take([...samples, ...JSON.parse(event.data)].slice(-KEPT_SAMPLES));
      tabs.postMessage(samples);
    };
    stream.onerror = () => take([]);
    stream.end = end;
  });
const leave = () => {
  stream?.close();
  stream?.end();
  stream = null;
};
let asking = null;
const listen = () => {
  if (document.visibilityState !== "visible") {
    asking?.abort();
    asking = null;
    leave();
  } else if (!asking) {
    asking = new AbortController();
    if (navigator.locks) navigator.locks.request("status", { signal: asking.signal }, read).catch(() => {});
    else read(); // a page that is not on localhost or HTTPS
  }
};
document.addEventListener("visibilitychange", listen);
// What scrolls and holds nothing to press is reached by the keyboard itself.
forEvery("#status-tab", (panel) => (panel.tabIndex = 0));
forEvery("#pulse a, #status-plots figure", drawStatus);
listen();
