"""The page's tabs, in their order. A new one is a folder whose ``tab.py`` has a ``build(page)``, and a line here."""

from __future__ import annotations

from qwen_app.ui.chat.tab import build as build_chat
from qwen_app.ui.compare.tab import build as build_compare
from qwen_app.ui.files.tab import build as build_files
from qwen_app.ui.json_lab.tab import build as build_json_lab
from qwen_app.ui.performance.tab import build as build_performance
from qwen_app.ui.presenting.tab import build as build_presenting
from qwen_app.ui.scenarios.tab import build as build_scenarios
from qwen_app.ui.status.tab import build as build_status
from qwen_app.ui.tools.tab import build as build_tools

TABS = (
    *(build_chat, build_json_lab, build_tools, build_compare),
    *(build_files, build_scenarios, build_performance, build_status, build_presenting),
)
GUEST_TABS = (build_chat,)
