"""The left sidebar: a component that draws itself from the routes, and tells the chat tab what was clicked."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from qwen_app.ui.shared.context import PageContext
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.shared.theme import widget_script

_HERE = Path(__file__).parent
WIDTH_PX = 264
# What the scripts say, by the names they use.
WORDS = (
    "chats_all",
    "chats_cancel",
    "chats_days",
    "chats_delete",
    "chats_delete_all",
    "chats_delete_all_sure",
    "chats_deleted",
    "chats_earlier",
    "chats_export_html",
    "chats_export_json",
    "chats_export_markdown",
    "chats_import",
    "chats_link_note",
    "chats_links_open",
    "chats_make_link",
    "chats_menu",
    "chats_new",
    "chats_none",
    "chats_nothing_found",
    "chats_pin",
    "chats_pinned",
    "chats_rename",
    "chats_replay",
    "chats_revoke",
    "chats_search",
    "chats_share",
    "chats_temporary",
    "chats_temporary_on",
    "chats_today",
    "chats_undo",
    "chats_unpin",
    "chats_valid",
    "chats_yesterday",
    "replay_assumed",
    "replay_end",
    "replay_go_on",
    "replay_label",
    "replay_pause",
    "replay_speed",
    "replay_timed",
    "server_lost",
    "server_lost_temporary",
    "server_new_temporary",
    "waiting_edit",
    "waiting_now",
    "waiting_remove",
)


def add_chats_panel(page: PageContext) -> None:
    """Add the sidebar to the Blocks being built."""
    with gr.Sidebar(position="left", width=WIDTH_PX, elem_id="chats-sidebar"):
        panel = gr.HTML(
            _words(Texts("en")),
            html_template='<div id="chats-panel"></div>',
            js_on_load=_panel_script(),
            elem_id="chats",
            apply_default_css=False,
        )
    page.translate_value(panel, _words)


def add_command() -> gr.HTML:
    """The channel from the page's scripts to the tab: it is clicked with ``{"do": ..., ...}`` as its data."""
    return gr.HTML("", js_on_load="window.chatCommand = (data) => trigger('click', data);", elem_id="chat-command")


def add_shown() -> gr.HTML:
    """The channel back: the value says which chat the tab shows. The messages that wait are drawn there."""
    return gr.HTML(
        "{}",
        html_template='<div id="chat-replay"></div><div id="chat-waiting"></div>',
        js_on_load=widget_script(_HERE / "shown.js"),
        elem_id="chat-shown",
        apply_default_css=False,
    )


def _panel_script() -> str:
    reconnect = (_HERE / "reconnect.js").read_text(encoding="utf-8")
    return f"{widget_script(_HERE / 'panel.js')}\n(() => {{\n{reconnect}}})();"


def _words(texts: Texts) -> str:
    return json.dumps({name: texts(name) for name in WORDS}, ensure_ascii=False)
