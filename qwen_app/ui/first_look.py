"""What runs in the browser before the page is drawn: a Chinese visitor sees nothing until it is Chinese."""

from __future__ import annotations

import json

from qwen_app.settings import Settings
from qwen_app.ui.shared.strings import Texts

LONGEST_MS = 15_000  # from when the page is drawn; then it is shown as it is
LOOKS_MS = 250
SHOWN = "() => { document.documentElement.classList.remove('translating'); }"
# Gradio draws the names of tabs some frames after all else.
SHOWN_WHOLE = f"""() => {{
  const root = document.documentElement;
  const name = {json.dumps(Texts("en")("chat_tab"))};
  const tabs = () => [...document.querySelectorAll("#tabs [role=tab]")];
  const named = () => tabs().length && tabs().every((tab) => tab.textContent.trim() !== name);
  const wait = () => root.classList.contains("translating") && !root.classList.contains("guest") && !named();
  const look = () => (wait() ? requestAnimationFrame(look) : ({SHOWN})());
  look();
}}"""


def first_look_html(settings: Settings, *, guest: bool) -> str:
    """A script for the page's head. It decides as ``strings.language_for`` does, and the style sheet hides the page."""
    return f"""<link rel="apple-touch-icon" href="icon.png"><script>
document.querySelector("link[rel=manifest]")?.setAttribute("href", "manifest.json"); // below a proxy's path too
{{
  document.documentElement.classList.toggle("guest", {json.dumps(guest)});
  const spoken = navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag === "zh" || tag === "en");
  const wanted = [localStorage.getItem("language"), {json.dumps(settings.language)}, spoken];
  if (wanted.find((tag) => tag === "zh" || tag === "en") === "zh") {{
    document.documentElement.classList.add("translating");
    const waited = setInterval(() => {{
      if (!document.getElementById("tabs")) return;
      clearInterval(waited);
      setTimeout({SHOWN}, {LONGEST_MS});
    }}, {LOOKS_MS});
  }}
}}
</script>"""
