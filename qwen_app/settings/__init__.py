"""Every option, and its value: from flags, then ``QWEN_*`` variables, then defaults.

``loading`` is the only place that reads the environment for the app. Bad values are reported all together, before
anything slow is imported. May import errors, ``http`` and switches. Start with ``settings``.
"""

from qwen_app.settings.command_line import described, without_secrets
from qwen_app.settings.loading import load_settings
from qwen_app.settings.names import flag
from qwen_app.settings.settings import Settings

__all__ = ["Settings", "described", "flag", "load_settings", "without_secrets"]
