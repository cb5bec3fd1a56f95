"""Presets: a name for a system prompt and its parameters. Ours to start from, and the visitor's own.

May import ``ui.shared``; no tab. The browser keeps a visitor's own, as it keeps the chat's settings.
Start with ``preset.py`` (values, the file they travel in), then ``starters.py`` and ``panel.py`` (components).
"""
