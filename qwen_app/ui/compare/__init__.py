"""The compare tab: one prompt asked under two settings at once, the difference, a vote, a table of all that was tried.

May import the service, ``ui.conversations``, ``ui.markdown`` and ``ui.shared``; no other tab.
Start with ``tab.py``, then ``actions.py``; ``comparison.py`` holds the values and the CSV file.
"""
