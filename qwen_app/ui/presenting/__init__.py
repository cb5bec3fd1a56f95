"""The tab of whoever presents the server: guests and their links, what runs, pause and stop.

May import ``ui.shared``; no other tab. It is drawn in the browser, from the routes of ``qwen_app/web/guests``.
Start with ``tab.py``, then ``presenting.js``.
"""
