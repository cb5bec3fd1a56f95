"""The compare tab."""

from __future__ import annotations

COMPARE: dict[str, tuple[str, str]] = {
    "compare_tab": ("Compare", "比较"),
    "compare_example": ("Name three colours.", "说出三种颜色。"),
    "compare_run": ("Ask both", "同时提问"),
    "compare_left": ("Left", "左"),
    "compare_right": ("Right", "右"),
    "compare_equal": ("Equal", "相同"),
    "compare_no_vote": ("–", "–"),
    "compare_vote": ("Better", "更好"),
    "vote_left": ("Left is better", "左边更好"),
    "vote_equal": ("Equal", "一样好"),
    "vote_right": ("Right is better", "右边更好"),
    "compare_keep": ("Keep this one", "保留此回答"),
    "compare_csv": ("Export as CSV", "导出为 CSV"),
    "compare_difference": ("Difference", "差异"),
    "compare_same": ("Both answers are the same.", "两个回答相同。"),
    "compare_too_long": (
        "The answers are too long for a difference word by word.",
        "回答过长，无法逐词比较。",
    ),
    "compare_hint": (
        "Both are asked at once, with the same seed. Vote for the better one; all comparisons are listed here.",
        "两边使用相同的种子同时提问。请投票选出更好的回答；所有比较都会列在这里。",
    ),
    "compare_ask_first": ("There is nothing to compare yet: ask both first.", "还没有可比较的内容：请先同时提问。"),
    "compare_nothing_kept": (
        "There is nothing to keep: ask both first, and allow cookies for this page.",
        "没有可保留的内容：请先提问，并允许本页使用 Cookie。",
    ),
}
