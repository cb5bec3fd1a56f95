// A guest's line in the header: the name, and how many answers are left. While the presenter has paused the server, that
// is said below it. Asked again when an answer begins or ends, when the page is looked at again, and now and then.

const LOOK_MS = 10_000;
const drawGuest = (me) => {
  const line = document.querySelector("#guest-line span");
  if (!line) return;
  const left = filled(say("guest_left"), { left: me.turns_left, turns: me.turns });
  line.textContent = `${left} · ${me.name}`; // a phone may have no room for all of it
  line.classList.toggle("none-left", me.turns_left === 0);
  document.querySelector(".guest-paused")?.remove();
  if (!me.paused) return;
  const banner = make("div", { className: "guest-paused", role: "status", textContent: say("guest_paused") });
  document.getElementById("header").after(banner);
};
let asked = null;
let guestLooks = 0; // what a look finds is not drawn once a newer one has begun
const askGuest = async () => {
  const mine = ++guestLooks;
  clearTimeout(asked);
  if (document.visibilityState === "visible") {
    const answer = await fetch("guest/me", { cache: "no-store" }).catch(() => null);
    if (answer?.status === 403) return location.reload(); // the link is over, and the page says so
    const me = answer?.ok ? await answer.json() : null;
    if (me && mine === guestLooks) drawGuest(me);
  }
  if (mine === guestLooks) asked = setTimeout(askGuest, LOOK_MS);
};
document.addEventListener("visibilitychange", askGuest);
forEvery("#guest-line", askGuest);
forEvery("#notice .notice, #composer .stop-button, #composer .submit-button", askGuest);
new MutationObserver(askGuest).observe(document.documentElement, { attributeFilter: ["lang"] });
