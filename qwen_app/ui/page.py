"""The page: a header, and the tabs of ``tabs.py``."""

from __future__ import annotations

import sys
from html import escape

import gradio as gr

from qwen_app.engine.base import EngineInfo
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.ui.chats_panel.panel import add_chats_panel
from qwen_app.ui.first_look import SHOWN_WHOLE
from qwen_app.ui.public import add_endpoint
from qwen_app.ui.quick_blocks import QuickBlocks
from qwen_app.ui.shared.context import QUICK, PageContext, Stores, TurnCounter
from qwen_app.ui.shared.handlers import Updates, Values, language_of, text
from qwen_app.ui.shared.strings import Language, Texts, language_for
from qwen_app.ui.tabs import GUEST_TABS, TABS

DELETE_CACHE_S = (3600, 3600)  # how often, and how old

_STORED = "() => [localStorage.getItem('language')]"
_STORE = "(language) => { localStorage.setItem('language', window.languageChosen = language); }"
_AS_CHOSEN = "(language) => window.languageChosen ?? language"  # while the server was asked
_DECLARE = "(language) => { document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'; }"

EVENTS_LOOKED_FOR_EVERY_S = 0.02  # what a click may wait longer
PROGRESS_SENT_EVERY_S = 0.1


def build_page(service: Service, settings: Settings, stores: Stores, turns: TurnCounter | None = None) -> gr.Blocks:
    """The Gradio page for ``service``; with ``turns``, that of guests. Mount it with ``ui.mount.mount_page``."""
    blocks: gr.Blocks
    with QuickBlocks(
        title=Texts("en")("title"),
        analytics_enabled=False,
        fill_height=True,
        fill_width=True,
        delete_cache=DELETE_CACHE_S,
    ) as blocks:
        with gr.Row(elem_id="header"):
            about = gr.HTML(_about(service.info(), Texts("en"), to_tell=False), elem_id="about")
            if turns is None:
                gr.HTML('<a href="#status"><span></span></a>', elem_id="pulse", apply_default_css=False)
            else:
                gr.HTML("<span></span>", elem_id="guest-line", apply_default_css=False)
            tools = gr.HTML(elem_id="page-tools")
            leaves = turns is not None or not settings.is_local()
            sign_out = gr.HTML(_sign_out(Texts("en"), guest=turns is not None), elem_id="sign-out", visible=leaves)
            language = gr.Radio(
                [("EN", "en"), ("中文", "zh")], value="en", show_label=False, container=False, elem_id="language"
            )
        page = PageContext(service, settings, stores, blocks, language, turns)
        page.localize(language, label="language")
        add_chats_panel(page)
        page.localize(tools, value="page_tools")
        with gr.Tabs(elem_id="tabs"):
            for build_tab in GUEST_TABS if page.for_guests else TABS:
                build_tab(page)
        _wire_language(page, about, sign_out)
        if not page.for_guests:
            add_endpoint(page)
    set_queue(blocks)
    return blocks


def set_queue(blocks: gr.Blocks) -> None:
    """Any number may ask at once, and a page that nobody uses costs next to nothing."""
    blocks.queue(
        api_open=False,
        max_size=None,
        default_concurrency_limit=None,
    )
    # Nobody sees Gradio's statistics here, and it would compute them in pandas after every single event.
    blocks._queue.ANALYTICS_MAX_EVENTS = 1
    blocks._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    # It looks for events by sleeping: a thousand times a second by itself, and a hundred for progress bars.
    blocks._queue.sleep_when_free = EVENTS_LOOKED_FOR_EVERY_S
    blocks._queue.progress_update_sleep_when_free = PROGRESS_SENT_EVERY_S


def _wire_language(page: PageContext, about: gr.HTML, sign_out: gr.HTML) -> None:

    def header(language: Language, request: gr.Request) -> Updates:
        texts, to_tell = Texts(language), bool(page.notices_for(request))
        return {
            about: _about(page.service.info(), texts, to_tell=to_tell),
            sign_out: _sign_out(texts, guest=page.for_guests, who=request.username or ""),
        }

    def detect(stored: object, request: gr.Request) -> Updates:
        accepted = request.headers.get("accept-language", "")
        language = language_for(text(stored), page.settings.language, accepted)
        return {page.language: language} | header(language, request)

    def translate(values: Values, request: gr.Request) -> Updates:
        return header(language_of(values[page.language]), request)

    detected = page.blocks.load(detect, [page.language], [page.language, about, sign_out], js=_STORED, **QUICK)
    detected.then(None, [page.language], [page.language], js=_AS_CHOSEN, api_visibility="private")
    page.language.input(None, [page.language], js=_STORE, api_visibility="private")
    for settled in (detected.then, page.language.change):
        settled(None, [page.language], js=_DECLARE, api_visibility="private")
    page.translate(translate, (), (about, sign_out))
    page.wire_translations().then(None, js=SHOWN_WHOLE, api_visibility="private")


def _about(info: EngineInfo, texts: Texts, *, to_tell: bool) -> str:
    """``to_tell``: whether the status tab has something to tell the visitor."""
    chips = "".join(f"<span>{escape(part)}</span>" for part in (info.precision, texts.translated(info.device)) if part)
    notice = f'<p class="model-notice">{escape(texts.translated(info.notice))}</p>' if info.notice else ""
    if to_tell:
        notice += f'<p class="model-notice"><a href="#status">{escape(texts("status_see"))}</a></p>'
    return f'<h1>{texts("title")}</h1><div class="model"><b>{escape(info.model)}</b>{chips}</div>{notice}'


def _sign_out(texts: Texts, *, guest: bool, who: str = "") -> str:
    action, name = ("guest/leave", "guest_leave") if guest else ("logout", "sign_out")
    login = f"<span>{escape(who)}</span>" if who and not guest else ""  # a guest's name stands beside it
    return f'<form method="post" action="{action}">{login}<button>{texts(name)}</button></form>'
