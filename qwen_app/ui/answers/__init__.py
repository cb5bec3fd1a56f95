"""What stands under an answer: how it came about, what can be done with it, how it differs from the one before.

May import ``ui.conversations``, ``ui.markdown``, ``ui.scores`` and ``ui.shared``; no tab. Pure functions to HTML.
Start with ``turn_tools.py`` (the line of buttons), then ``run_card.py`` (the figures).
"""
