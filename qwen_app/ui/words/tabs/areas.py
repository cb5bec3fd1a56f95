"""The words of all tabs beside the chat."""

from __future__ import annotations

from qwen_app.ui.words.tabs.compare import COMPARE
from qwen_app.ui.words.tabs.files import FILES
from qwen_app.ui.words.tabs.json_lab import JSON_LAB
from qwen_app.ui.words.tabs.presenting import PRESENTING
from qwen_app.ui.words.tabs.proof import PROOF
from qwen_app.ui.words.tabs.status import STATUS
from qwen_app.ui.words.tabs.tools import TOOLS

TAB_AREAS = (JSON_LAB, TOOLS, COMPARE, FILES, PROOF, STATUS, PRESENTING)
