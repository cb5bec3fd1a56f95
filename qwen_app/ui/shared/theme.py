"""How the page looks: Gradio's theme variables here, the rest in the CSS files."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FONT = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "PingFang SC", "Microsoft YaHei",
        "Noto Sans CJK SC", "sans-serif")  # fmt: skip
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono CJK SC", "monospace")
_UI = Path(__file__).parent.parent
STYLES = [
    _UI / name
    for name in (
        "shared/page.css",
        "chat/chat.css",
        "chats_panel/chats_panel.css",
        "json_lab/json_lab.css",
        "tools/tools.css",
        "compare/compare.css",
        "files/files.css",
        "performance/performance.css",
        "presenting/presenting.css",
        "scenarios/scenarios.css",
        "status/status.css",
        "shared/gradio.css",
        "shared/other_screens.css",
    )
]
BROWSER_STORE = Path(__file__).with_name("browser_store.js")  # stands before all that keeps something in the browser
ALLOWED_DOM = Path(__file__).with_name("allowed_dom.js")  # runs before anything is drawn
PRINT_STYLE = Path(__file__).with_name("print.css")  # Gradio confines STYLES to its own box
SHARE_NOTICE = Path(__file__).with_name("share_notice.js")
_ELEMENTS = Path(__file__).with_name("elements.js")


def widget_script(file: Path) -> str:
    """The script of a component that draws itself, behind what all of these begin with."""
    return _ELEMENTS.read_text(encoding="utf-8") + file.read_text(encoding="utf-8")


def theme() -> gr.themes.Base:
    """Neutral greys with one accent, from fonts the visitor's machine has: nothing is fetched from elsewhere."""
    return gr.themes.Base(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="zinc",
        radius_size="lg",
        text_size="md",
        font=FONT,
        font_mono=MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_title_text_weight="500",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_color="*neutral_200",
        input_border_color_dark="*neutral_700",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
        # --accent and --on-accent of page.css
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color_dark="#16161a",
        slider_color="*primary_500",
    )
