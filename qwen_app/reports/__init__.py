"""What reports are made of: wording in both languages, tables, charts as SVG, an HTML page that needs nothing else.

Imports nothing of ours. ``performance`` and ``scenarios`` write theirs with it.
Start with ``table.py``; ``html_page.py`` makes one file that needs nothing else.
"""
