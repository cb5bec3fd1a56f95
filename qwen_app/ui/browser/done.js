// The tab's title says that an answer is being written, and that it is there, to whoever looks elsewhere meanwhile. Who
// wants it is told by the browser's notice as well, or by a sound where the browser allows no notice.

const title = () => document.querySelector("#about h1")?.textContent ?? document.title;
let answering = false;
const wantsNotice = () => localStorage.getItem("notice") === "yes";
const beep = () => {
  const sound = new AudioContext();
  const tone = sound.createOscillator();
  const volume = sound.createGain();
  tone.frequency.value = 660;
  volume.gain.setValueAtTime(0.08, sound.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + 0.4);
  tone.connect(volume).connect(sound.destination);
  tone.start();
  tone.stop(sound.currentTime + 0.4);
  tone.onended = () => sound.close();
};
const notifyDone = () => {
  if (globalThis.Notification?.permission !== "granted") return beep();
  const notice = new Notification(title(), { body: say("notice_done"), tag: "answer" });
  notice.onclick = () => (window.focus(), notice.close());
};
const switchNotice = async () => {
  const on = !wantsNotice();
  localStorage.setItem("notice", on ? "yes" : "");
  if (on && globalThis.Notification?.permission === "default") await Notification.requestPermission();
  if (on) notifyDone(); // so that it is known how it sounds and looks
};
const entitle = () => {
  const writing = Boolean(document.querySelector("#composer .stop-button"));
  if (writing) document.title = `… ${title()}`;
  else if (answering && document.hidden) document.title = `✓ ${title()}`;
  else if (!document.title.startsWith("✓") || !document.hidden) document.title = title();
  if (answering && !writing && document.hidden && wantsNotice()) notifyDone();
  answering = writing;
};
forEvery("#composer", (box) => new MutationObserver(entitle).observe(box, { childList: true, subtree: true }));
forEvery("#about h1", entitle);
document.addEventListener("visibilitychange", entitle);
