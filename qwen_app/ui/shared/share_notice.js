// Tells whoever has the page open when the public link is gone: a link that dies takes only its own visitors along.
(() => {
  const LOOK_MS = 20_000;
  const SENTENCES = {
    en: (why) => `The public link is gone: ${why}. This page goes on; a new link needs a restart.`,
    zh: (why) => `公开链接已失效：${why}。本页面仍可使用；重启后可获得新链接。`,
  };
  const notice = Object.assign(document.createElement("div"), { id: "share-notice", hidden: true });
  notice.setAttribute("role", "status");
  notice.style.cssText = "position:fixed;inset:auto 0 0 0;padding:8px 16px;text-align:center;background:#7f1d1d;color:#fff;z-index:99";
  const look = async () => {
    try {
      const { problem } = await (await fetch("share-link")).json();
      const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
      notice.hidden = !problem;
      notice.textContent = problem ? SENTENCES[language](problem) : "";
      if (problem && !notice.isConnected) document.body.append(notice);
    } catch {
      // the server is away, which the page says itself
    }
  };
  addEventListener("load", look);
  setInterval(look, LOOK_MS);
})();
