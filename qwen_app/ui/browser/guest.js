// A guest's line in the header: the name, and how many answers are left. While the presenter has paused the server, that
// is said below it, and that the link is over: then nothing can be sent, and what is read and typed stays to be copied.
// Asked again when an answer begins or ends, a toast comes or the page is looked at again, and now and then.

const LOOK_MS = 10_000;
const sayToGuest = (word, role) => {
  document.querySelector(".guest-told")?.remove();
  if (!word) return;
  const told = make("div", { className: "guest-told", role, textContent: say(word) });
  document.getElementById("header").after(told);
};
const drawGuest = (me) => {
  const line = document.querySelector("#guest-line span");
  if (!line) return;
  const left = filled(say("guest_left"), { left: me.turns_left, turns: me.turns });
  line.textContent = `${left} · ${me.name}`; // a phone may have no room for all of it
  line.classList.toggle("none-left", me.turns_left === 0);
  sayToGuest(me.paused && "guest_paused", "status");
};
const endGuest = () => {
  sayToGuest("guest_over", "alert");
  document.body.classList.add("guest-over");
  composer().readOnly = true;
};
let asked = null;
let guestLooks = 0; // what a look finds is not drawn once a newer one has begun
const askGuest = async () => {
  const mine = ++guestLooks;
  clearTimeout(asked);
  if (document.visibilityState === "visible") {
    const answer = await fetch("guest/me", { cache: "no-store" }).catch(() => null);
    if ([401, 403, 404].includes(answer?.status)) return endGuest(); // over, or long over: the cookie is gone as well
    const me = answer?.ok ? await answer.json() : null;
    if (me && mine === guestLooks) drawGuest(me);
  }
  if (mine === guestLooks) asked = setTimeout(askGuest, LOOK_MS);
};
document.addEventListener("visibilitychange", askGuest);
forEvery("#guest-line", askGuest);
forEvery("#notice .notice, #composer .stop-button, #composer .submit-button, .toast-body", askGuest);
new MutationObserver(askGuest).observe(document.documentElement, { attributeFilter: ["lang"] });
