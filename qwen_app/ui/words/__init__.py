"""Every word of the page, a file an area, English and Chinese side by side.

May import nothing. Code reads them through ``ui.shared.strings``.
Start with ``page.py``; ``tabs`` has those of the other tabs, and ``ui.shared.strings`` joins them all.
"""
