"""The page: a header, and tabs. A new tab is a folder whose ``tab.py`` has a ``build(page)``, and one line in TABS."""

from __future__ import annotations

import sys
from html import escape

import gradio as gr

from qwen_app.engine.base import EngineInfo
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.table_store import TableStore
from qwen_app.ui.chat.tab import build as build_chat
from qwen_app.ui.json_lab.tab import build as build_json_lab
from qwen_app.ui.public import add_endpoint
from qwen_app.ui.shared.context import QUICK, PageContext
from qwen_app.ui.shared.handlers import Updates, language_of, text
from qwen_app.ui.shared.strings import Language, Texts, language_for
from qwen_app.ui.tools.tab import build as build_tools

TABS = (build_chat, build_json_lab, build_tools)
DELETE_CACHE_S = (3600, 3600)  # how often, and how old

_STORED = "() => [localStorage.getItem('language')]"
_STORE = "(language) => { localStorage.setItem('language', language); }"
_DECLARE = "(language) => { document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'; }"


def build_page(service: Service, settings: Settings, tables: TableStore) -> gr.Blocks:
    """The Gradio page for ``service``. Mount it with ``qwen_app.ui.mount.mount_page``."""
    blocks: gr.Blocks
    with gr.Blocks(
        title=Texts("en")("title"),
        analytics_enabled=False,
        fill_height=True,
        fill_width=True,
        delete_cache=DELETE_CACHE_S,
    ) as blocks:
        with gr.Row(elem_id="header"):
            about = gr.HTML(_about(service.info(), Texts("en")), elem_id="about")
            sign_out = gr.HTML(_sign_out(Texts("en")), elem_id="sign-out", visible=bool(settings.auth))
            language = gr.Radio(
                [("EN", "en"), ("中文", "zh")], value="en", show_label=False, container=False, elem_id="language"
            )
        page = PageContext(service, settings, tables, blocks, language)
        page.localize(language, label="language")
        with gr.Tabs(elem_id="tabs"):
            for build_tab in TABS:
                build_tab(page)
        _wire_language(page, about, sign_out)
        add_endpoint(page)
    _set_queue(blocks, page)
    return blocks


def _set_queue(blocks: gr.Blocks, page: PageContext) -> None:
    blocks.queue(
        api_open=False,
        max_size=None,
        default_concurrency_limit=None,
    )
    # Nobody sees Gradio's statistics here, and it would compute them in pandas after every single event.
    blocks._queue.ANALYTICS_MAX_EVENTS = 1
    blocks._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize


def _wire_language(page: PageContext, about: gr.HTML, sign_out: gr.HTML) -> None:

    def header(language: Language) -> Updates:
        texts = Texts(language)
        return {about: _about(page.service.info(), texts), sign_out: _sign_out(texts)}

    def detect(stored: object, request: gr.Request) -> Updates:
        accepted = request.headers.get("accept-language", "")
        language = language_for(text(stored), page.settings.language, accepted)
        return {page.language: language} | header(language)

    def translate(chosen: object) -> Updates:
        language = language_of(chosen)
        return page.translations(language) | header(language)

    detected = page.blocks.load(detect, [page.language], [page.language, about, sign_out], js=_STORED, **QUICK)
    page.language.input(None, [page.language], js=_STORE, api_visibility="private")
    for settled in (detected.then, page.language.change):
        settled(None, [page.language], js=_DECLARE, api_visibility="private")
    page.language.change(translate, [page.language], [about, sign_out, *page.localized_components()], **QUICK)


def _about(info: EngineInfo, texts: Texts) -> str:
    chips = "".join(f"<span>{escape(part)}</span>" for part in (info.precision, info.device) if part)
    notice = f'<p class="model-notice">{escape(texts.translated(info.notice))}</p>' if info.notice else ""
    return f'<h1>{texts("title")}</h1><div class="model"><b>{escape(info.model)}</b>{chips}</div>{notice}'


def _sign_out(texts: Texts) -> str:
    return f'<form method="post" action="/logout"><button>{texts("sign_out")}</button></form>'
