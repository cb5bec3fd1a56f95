"""The import graph as a picture: an SVG that follows light and dark, with a box for every top-level room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from scripts.graph_layout import Layout, lay_out
from scripts.import_graph import Arrows, folded, without_shortcuts


@dataclass(frozen=True, slots=True)
class Look:
    """How a room is drawn: its colour's name, and what it is for in few words."""

    family: str
    role: str


# Every top-level room. A new one is given its words here, or the picture is not drawn.
LOOKS = {
    "serve": Look("way in", "from settings to an open port"),
    "ui": Look("way in", "the page, a folder a tab"),
    "api": Look("way in", "OpenAI-compatible routes"),
    "web": Look("way in", "login, guard, public link"),
    "http": Look("way in", "what every request passes"),
    "agent_loop": Look("door", "tool calls, round after round"),
    "metrics": Look("door", "for Prometheus"),
    "live_answers": Look("door", "run on, watched or not"),
    "saved_chats": Look("ground", "chats that stay"),
    "reports": Look("ground", "words, tables and charts"),
    "performance": Look("door", "how fast it is here"),
    "scenarios": Look("door", "tasks, each with a check"),
    "summaries": Look("door", "long files, part by part"),
    "knowledge": Look("ground", "files, found by a search"),
    "bench": Look("way in", "performance, by command"),
    "replay": Look("way in", "failed requests, asked again"),
    "failed_requests": Look("door", "a record of what failed"),
    "gpu": Look("door", "how busy the cards are"),
    "stage": Look("door", "the presenter's pause and stop"),
    "guests": Look("ground", "who was invited, for how long"),
    "fallback_answer": Look("door", "said when the model fails"),
    "start": Look("ground", "how far a start has come"),
    "service": Look("door", "the one door to the engine"),
    "prompting": Look("door", "what a prompt holds, what fits"),
    "engine": Look("engine", "one answer as a stream of events"),
    "models": Look("engine", "fetch, check, plan, load"),
    "kernels": Look("engine", "between products, on a card"),
    "linear": Look("engine", "layers in every number format"),
    "uploads": Look("ground", "what is not sent yet, in memory"),
    "documents": Look("text", "files to text with marks"),
    "testing": Look("engine", "an engine that plays a script"),
    "chat": Look("text", "template and window"),
    "structured": Look("text", "answers that keep to a grammar"),
    "sandbox": Look("text", "visitors' text in child processes"),
    "tools": Look("text", "calls in the text, built-in tools"),
    "openai_format": Look("text", "message bodies, once"),
    "messages": Look("ground", "requests and events, as values"),
    "switches": Look("ground", "optimisations, on or off"),
    "settings": Look("ground", "every option, once"),
    "text_files": Look("ground", "encodings, delimiters"),
    "searched_text": Look("ground", "what reads alike is alike"),
    "fair_share": Look("ground", "room left for others"),
    "errors": Look("ground", "every error raised on purpose"),
}
FAMILIES = {  # light: fill, line; dark: fill, line
    "way in": ("#eef2ff", "#6366f1", "#23234a", "#818cf8"),
    "door": ("#fff4e5", "#d97706", "#3b2a12", "#f59e0b"),
    "engine": ("#e9f9f0", "#059669", "#12352a", "#34d399"),
    "text": ("#e6f6fb", "#0891b2", "#10333d", "#22d3ee"),
    "ground": ("#f3f4f6", "#6b7280", "#26272b", "#9ca3af"),
}
NAME_PX, ROLE_PX, CHIP_PX = 8.6, 6.3, 6.7  # the width of a letter, generously
BOX_PADDING = 16.0
BOX_HEIGHT = 50.0
CHIP_HEIGHT = 18.0
ROW_GAP = 44.0
COLUMN_GAP = 28.0
MARGIN = 28.0
NOTE = "An arrow points to what a room imports. Arrows that a longer way implies are left out."


@dataclass(frozen=True, slots=True)
class Box:
    """A room, and the packages within it by their short names."""

    name: str
    look: Look
    inner: Sequence[str]

    @property
    def width(self) -> float:
        chips = sum(len(chip) * CHIP_PX + 18 for chip in self.inner) - 6
        return 2 * BOX_PADDING + max(len(self.name) * NAME_PX, len(self.look.role) * ROLE_PX, chips)

    @property
    def height(self) -> float:
        return BOX_HEIGHT + (CHIP_HEIGHT + 8 if self.inner else 0)


def draw(arrows: Arrows) -> str:
    """The picture of these rooms and arrows. Raises LookupError for a room without a look."""
    boxes = {room: _box(room, arrows) for room in folded(arrows)}
    layout = lay_out(without_shortcuts(folded(arrows)), {room: box.width for room, box in boxes.items()}, COLUMN_GAP)
    left = min(layout.x[room] - box.width / 2 for room, box in boxes.items())
    left = min(left, *(x for way in layout.ways.values() for x, _ in way)) - MARGIN
    right = max(layout.x[room] + box.width / 2 for room, box in boxes.items())
    right = max(right, *(x for way in layout.ways.values() for x, _ in way)) + MARGIN
    tops, bottom = _tops(layout, boxes.values())
    width, height = max(right - left, len(NOTE) * ROLE_PX + 2 * MARGIN), bottom + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
        ' font-family="ui-sans-serif, system-ui, sans-serif">',
        "<title>The packages of qwen_app and what they import</title>",
        _style(),
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 1 9 5 0 9z"/></marker></defs>',
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="14"/>',
        *(_arrow(way, left, tops, boxes[start]) for (start, _), way in layout.ways.items()),
        *(_drawn(box, layout.x[room] - left, tops[layout.row[room]]) for room, box in boxes.items()),
        f'<text class="role" x="{width / 2:.0f}" y="{height - 18:.0f}" text-anchor="middle">{NOTE}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(room: str, arrows: Arrows) -> Box:
    if room not in LOOKS:
        raise LookupError(f"qwen_app.{room} is new: give it a colour and a few words in LOOKS of {__name__}.")
    inner = sorted(name.removeprefix(f"{room}.").replace(".", "/") for name in arrows if name.startswith(f"{room}."))
    return Box(room, LOOKS[room], inner)


def _tops(layout: Layout, boxes: Iterable[Box]) -> tuple[list[float], float]:
    """Where each row begins, and where the last ends."""
    heights = [0.0] * (1 + max(layout.row.values()))
    for box in boxes:
        heights[layout.row[box.name]] = max(heights[layout.row[box.name]], box.height)
    tops, y = [], MARGIN
    for height in heights:
        tops.append(y)
        y += height + ROW_GAP
    return tops, y - ROW_GAP + 16


def _arrow(way: Sequence[tuple[float, int]], left: float, tops: Sequence[float], start: Box) -> str:
    """Bows from row to row, straight where the arrow passes one."""
    x, row = way[0]
    y = tops[row] + start.height
    path = f"M{x - left:.0f} {y:.0f}"
    for x_next, row_next in way[1:]:
        end = tops[row_next] - (2 if row_next == way[-1][1] else 0)
        start_y = max(y, tops[row_next] - ROW_GAP)
        bend = (end - start_y) * 0.55
        straight = f"V{start_y:.0f}" if start_y > y else ""
        path += (
            f"{straight}C{x - left:.0f} {start_y + bend:.0f} {x_next - left:.0f} {end - bend:.0f}"
            f" {x_next - left:.0f} {end:.0f}"
        )
        x, y = x_next, end
    return f'<path class="arrow" marker-end="url(#tip)" d="{path}"/>'


def _drawn(box: Box, x: float, y: float) -> str:
    family = _css_name(box.look.family)
    parts = [
        f'<rect class="{family}" x="{x - box.width / 2:.0f}" y="{y:.0f}" width="{box.width:.0f}"'
        f' height="{box.height:.0f}" rx="10"/>',
        f'<text class="name" x="{x:.0f}" y="{y + 21:.0f}" text-anchor="middle">{escape(box.name)}</text>',
        f'<text class="role" x="{x:.0f}" y="{y + 38:.0f}" text-anchor="middle">{escape(box.look.role)}</text>',
    ]
    widths = [len(chip) * CHIP_PX + 12 for chip in box.inner]
    at = x - (sum(widths) + 6 * (len(widths) - 1)) / 2
    for chip, width in zip(box.inner, widths, strict=True):
        parts.append(
            f'<rect class="chip" x="{at:.0f}" y="{y + BOX_HEIGHT - 2:.0f}" width="{width:.0f}"'
            f' height="{CHIP_HEIGHT:.0f}" rx="9"/><text class="inner" text-anchor="middle"'
            f' x="{at + width / 2:.0f}" y="{y + BOX_HEIGHT + 11:.0f}">{escape(chip)}</text>'
        )
        at += width + 6
    return "".join(parts)


def _style() -> str:
    light = [f".{_css_name(name)}{{fill:{fill};stroke:{line}}}" for name, (fill, line, _, _) in FAMILIES.items()]
    dark = [f".{_css_name(name)}{{fill:{fill};stroke:{line}}}" for name, (_, _, fill, line) in FAMILIES.items()]
    return (
        "<style>"
        ".paper{fill:#fff;stroke:#e5e7eb}.arrow{fill:none;stroke:#9ca3af;stroke-width:1.5}.tip{fill:#9ca3af}"
        ".name{font:600 14px ui-monospace,Menlo,Consolas,monospace;fill:#111827}.role{font-size:12px;fill:#4b5563}"
        ".chip{fill:#fff;fill-opacity:.8;stroke:#d1d5db}.inner{font:11px ui-monospace,Menlo,Consolas,monospace;"
        "fill:#374151}" + "".join(light) + "@media (prefers-color-scheme:dark){"
        ".paper{fill:#111214;stroke:#2b2c31}.arrow{stroke:#6b7280}.tip{fill:#6b7280}.name{fill:#f3f4f6}"
        ".role{fill:#b6bac3}.chip{fill:#000;fill-opacity:.3;stroke:#4b5563}.inner{fill:#d1d5db}"
        + "".join(dark)
        + "}</style>"
    )


def _css_name(family: str) -> str:
    return family.replace(" ", "-")
