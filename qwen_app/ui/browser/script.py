"""Puts the page's script together: the words it says in both languages, then its files in one scope."""

from __future__ import annotations

import json
from pathlib import Path

from qwen_app.ui.shared.strings import LANGUAGES, TEXTS, Texts

FILES = (
    *("observe.js", "names.js", "code_colours.js", "clipboard.js"),
    *("scroll.js", "dialogs.js", "questions.js", "lens.js", "pending.js", "touch.js", "done.js", "look.js"),
    *("palette.js", "save_file.js", "code_blocks.js", "earlier.js", "keys.js", "focus.js", "addresses.js", "attach.js"),
    *("once.js", "toasts.js", "numbers.js", "link_dialog.js", "pick_files.js"),
)
DEVELOPERS, GUESTS = ("status.js",), ("guest.js",)
WORDS = (
    *("send", "stop", "close", "settings", "chat_label", "you_said", "answer_said", "scroll_down"),
    "left_out",
    *("copy", "copy_message", "copied", "retry", "undo", "edit", "submit", "cancel"),
    *("download", "fold", "nothing_yet", "wrap_lines", "show_earlier"),
    *("code_editor", "task_done", "task_open"),
    *("new_chat", "focus_composer", "copy_answer", "use_from_code", "switch_look", "switch_language", "shortcuts"),
    *("switch_notice", "notice_done"),
    *("chat_tab", "json_lab_tab", "tools_tab", "compare_tab", "files_tab", "scenarios_tab"),
    *("performance_tab", "status_tab", "presenting_tab", "more_tabs", "pulse", "palette_hint"),
    *("guest_left", "guest_paused", "guest_over"),
    *("toast_error", "toast_warning", "toast_info", "toast_lost_title", "toast_lost", "toast_broke"),
    *("toast_foreign", "toast_dropped", "toast_sessions", "toast_full"),
    *(key for key in TEXTS if key.startswith("refused_")),
    *("toast_streams", "toast_calls", "toast_bytes", "toast_unread"),
    *("toast_many_values", "toast_many_lists", "toast_many_texts"),
    *("about_temperature", "about_top_p", "about_max_tokens", "about_context", "about_seed"),
    *("documents_add", "documents_drop", "documents_reading", "documents_pasted", "files_drop_here"),
    *("key_send", "key_line", "key_escape", "key_recall", "key_palette", "key_edit"),
)


def page_script(*, guest: bool = False) -> str:
    """A JavaScript function without arguments, for Gradio to call once the page stands."""
    folder, files = Path(__file__).parent, (*FILES, *(GUESTS if guest else DEVELOPERS))
    words = {language: {key: Texts(language)(key) for key in WORDS} for language in LANGUAGES}
    parts = [f"const WORDS = {json.dumps(words)};", *((folder / name).read_text(encoding="utf-8") for name in files)]
    return "() => {\n" + "\n".join(parts) + "}\n"
