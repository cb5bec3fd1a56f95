"""The menu of presets above the chat's settings: choose, save, delete, bring in and take out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import gradio as gr
from gradio.components import Component

from qwen_app.errors import RequestError
from qwen_app.ui.presets.choices import OWN, chosen, is_visitors, menu, with_saved, without
from qwen_app.ui.presets.preset import LIMIT_FILE_CHARS, Preset, joined, presets_json, read_presets
from qwen_app.ui.presets.starters import is_starters_question
from qwen_app.ui.shared.context import QUEUED, QUICK, PageContext
from qwen_app.ui.shared.generation_controls import DEFAULT_ANSWER_TOKENS
from qwen_app.ui.shared.handlers import Update, Updates, Values, entry, language_of, number, text
from qwen_app.ui.shared.notices import notice_html
from qwen_app.ui.shared.strings import Language, Texts

KEY = "chat-presets"  # in the browser's store
BEFORE_KEY = "chat-settings-before"  # what a choice took the place of
_READ = (
    f"(stored, before, language) => "
    f"[localStorage.getItem('{KEY}') ?? '', localStorage.getItem('{BEFORE_KEY}') ?? '', language]"
)
_KEEP = f"(stored) => {{ localStorage.setItem('{KEY}', stored); }}"
_KEEP_BEFORE = f"(before) => {{ localStorage.setItem('{BEFORE_KEY}', before); }}"
_SAVE_FILE = """(stored) => {
  if (stored) window.saveFile("presets.json", stored, "application/json");
}"""
# What is larger than any file of presets is not read: the server says that it is too large.
_PICK_FILE = f"""async (picked, stored, language) => {{
  const [file] = await pickFiles({{ accept: ".json,application/json" }});
  return [await file.slice(0, {4 * LIMIT_FILE_CHARS}).text(), stored, language];
}}"""
_COMMAND = "window.choosePreset = (name) => trigger('click', { name });"


@dataclass(frozen=True, slots=True)
class PresetControls:
    """The settings that a preset sets, and the composer, which gets a starter's question."""

    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Slider
    json_mode: gr.Checkbox
    composer: gr.Textbox

    def settings(self) -> list[Component]:
        return [self.system, self.temperature, self.top_p, self.max_tokens, self.json_mode]


class PresetMenu:
    """The components, to be made where they are to stand; ``wire`` ties them to the settings."""

    def __init__(self, page: PageContext) -> None:
        self._page = page
        self._menu = gr.Dropdown(menu((), "en"), value=None, allow_custom_value=True, elem_id="preset")
        with gr.Row(elem_id="preset-buttons"):
            self._save, self._delete, self._import, self._export = (
                gr.Button(size="sm", elem_id=f"preset-{name}") for name in ("save", "delete", "import", "export")
            )
        self._said = gr.HTML(elem_id="preset-said")
        self._back = gr.Button(size="sm", elem_id="preset-back", visible=False)
        self._before = gr.Textbox(visible=False)  # the settings that a choice took the place of, as JSON
        self._stored = gr.Textbox(visible=False)
        self._picked = gr.Textbox(visible=False)
        self._command = gr.HTML("", js_on_load=_COMMAND, elem_id="preset-command")
        page.localize(self._menu, label="preset", info="preset_info")
        page.localize(self._save, value="preset_save")
        page.localize(self._delete, value="preset_delete")
        page.localize(self._import, value="preset_import")
        page.localize(self._export, value="preset_export")
        page.localize(self._back, value="preset_back")

    def wire(self, controls: PresetControls) -> None:
        """Tie the menu to the settings."""
        page, stored, language = self._page, self._stored, self._page.language
        known = [self._menu, stored, language]
        outcome: list[Component] = [self._menu, stored, self._said]
        settings = controls.settings()
        standing = [*settings, controls.composer]
        set_by_choice = [*settings, self._back, self._before, controls.composer]
        restored = [*outcome, self._back, self._before]
        page.blocks.load(self._restore, [stored, self._before, language], restored, js=_READ, **QUICK)
        page.translate(self._translate, [self._menu, stored], [self._menu])
        # Not its input: that comes twice with a choice, and whenever the focus leaves it. What was set since would go.
        choosing = self._menu.change(
            self._choose, [*known, *standing], set_by_choice, trigger_mode="always_last", **QUEUED
        )
        starting = self._command.click(
            self._start, [stored, language, *standing], [self._menu, *set_by_choice], **QUEUED
        )
        returning = self._back.click(
            self._put_back, [self._before], [self._menu, *settings, self._back, self._before], **QUEUED
        )
        for change in (choosing, starting, returning):
            change.then(None, [self._before], js=_KEEP_BEFORE, api_visibility="private")
        starting.then(None, js="() => document.querySelector('#composer textarea')?.focus()", api_visibility="private")
        saving = self._save.click(self._keep, [*known, *settings], outcome, **QUEUED)
        deleting = self._delete.click(self._remove, known, outcome, **QUEUED)
        importing = self._import.click(
            self._bring_in,
            [self._picked, stored, language],
            outcome,
            js=_PICK_FILE,
            trigger_mode="multiple",  # a picker that was closed never answers
            **QUEUED,
        )
        for change in (saving, deleting, importing):
            change.then(None, [stored], js=_KEEP, api_visibility="private")
        exporting = self._export.click(self._take_out, [stored, language], [self._said], **QUEUED)
        exporting.then(None, [stored], js=_SAVE_FILE, api_visibility="private")

    def _restore(self, stored: object, before: object, language: object) -> list[Update]:
        """The visitor's presets and settings as the browser kept them; what is none is forgotten."""
        own, settings = _own(stored), self._read_before(before)
        shown = gr.update(choices=menu(own, language_of(language)))
        back = gr.update(visible=settings is not None)
        return [shown, presets_json(own) if own else "", "", back, text(before) if settings else ""]

    def _translate(self, values: Values, _: gr.Request) -> Updates:
        choices = menu(_own(values[self._stored]), language_of(values[self._page.language]))
        return {self._menu: gr.update(choices=choices, value=values[self._menu])}

    def _choose(self, value: object, stored: object, language: object, *standing: object) -> list[Update]:
        """Set what the preset says. A system prompt and a draft that somebody wrote are not lost: the first can be had
        back, with the settings beside it, and the second stays."""
        *settings, draft = standing
        own = _own(stored)
        found = chosen(text(value), own, language_of(language))
        if found is None:
            return [gr.skip()] * 8
        preset, info = found.preset, self._page.service.info()
        written = text(draft).strip()
        free = not written or is_starters_question(written)
        # what stands there already is not written again, over what is typed meanwhile
        question = found.question if found.question and free and found.question != written else gr.skip()
        max_tokens = min(preset.max_tokens, info.context_tokens)
        chosen_settings = [preset.system, preset.temperature, preset.top_p, max_tokens, preset.json_mode]
        if is_visitors(text(settings[0]), own):
            return [*chosen_settings, gr.update(visible=True), json.dumps(settings), question]
        return [*chosen_settings, gr.skip(), gr.skip(), question]

    def _start(self, event: gr.EventData, stored: object, language: object, *standing: object) -> list[Update]:
        """A starter that was clicked on the empty page."""
        name = text(entry(event._data, "name"))
        found = chosen(name, (), language_of(language))
        return [gr.skip() if found is None else name, *self._choose(name, stored, language, *standing)]

    def _put_back(self, before: object) -> list[Update]:
        """The settings as they were before a preset took the place of the visitor's own system prompt."""
        settings = self._read_before(before)
        values = [gr.skip()] * 5 if settings is None else list(dataclasses.astuple(settings)[1:])
        return [None, *values, gr.update(visible=False), ""]

    def _keep(self, value: object, stored: object, language: object, *settings: object) -> list[Update]:
        spoken = language_of(language)
        try:
            own, name = with_saved(_own(stored), text(value), self._settings(settings), Texts(spoken))
        except RequestError as refusal:
            return _refused(refusal)
        return _changed(own, OWN + name, Texts(spoken)("preset_saved", name=name), spoken)

    def _remove(self, value: object, stored: object, language: object) -> list[Update]:
        spoken = language_of(language)
        try:
            own, name = without(_own(stored), text(value), Texts(spoken))
        except RequestError as refusal:
            return _refused(refusal)
        return _changed(own, None, Texts(spoken)("preset_deleted", name=name), spoken)

    def _bring_in(self, picked: object, stored: object, language: object) -> list[Update]:
        spoken, texts = language_of(language), Texts(language_of(language))
        try:
            added = read_presets(text(picked), texts)
            own = joined(_own(stored), added, texts)
        except RequestError as refusal:
            return _refused(refusal)
        return _changed(own, None, texts("preset_imported", count=len(added)), spoken)

    def _take_out(self, stored: object, language: object) -> str:
        return "" if _own(stored) else notice_html(Texts(language_of(language))("preset_none_saved"))

    def _read_before(self, before: object) -> Preset | None:
        """The settings that ``_choose`` wrote down; None where what the browser kept is nothing of the kind."""
        try:
            values = json.loads(text(before)[:LIMIT_FILE_CHARS])
        except (ValueError, RecursionError):
            return None
        if not isinstance(values, list) or len(values) != 5:
            return None
        settings = self._settings(values)
        most = self._page.service.info().context_tokens  # of the model of today
        return dataclasses.replace(settings, max_tokens=min(settings.max_tokens, most))

    def _settings(self, values: Sequence[object]) -> Preset:
        system, temperature, top_p, max_tokens, json_mode = values
        model = self._page.service.info().sampling
        return Preset(
            name="",
            system=text(system),
            temperature=float(number(temperature, 0, 2, model.temperature)),
            top_p=float(number(top_p, 0.01, 1, model.top_p)),
            max_tokens=int(number(max_tokens, 1, 1_000_000, DEFAULT_ANSWER_TOKENS)),
            json_mode=bool(json_mode),
        )


def _own(stored: object) -> tuple[Preset, ...]:
    try:
        return read_presets(text(stored), Texts("en"))
    except RequestError:
        return ()


def _changed(own: Sequence[Preset], value: str | None, sentence: str, language: Language) -> list[Update]:
    shown = gr.update(choices=menu(own, language), value=value)
    return [shown, presets_json(own) if own else "", f'<div class="said" role="status">{escape(sentence)}</div>']


def _refused(refusal: RequestError) -> list[Update]:
    return [gr.skip(), gr.skip(), notice_html(refusal.message)]
