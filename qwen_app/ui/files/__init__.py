"""The files tab: collections of files on the server, questions to them, and answers with footnotes.

May import ``knowledge``, ``documents``, the service and ``ui.shared``; no other tab.
Start with ``tab.py``, then ``asking.py``; cutting, searching and citing are in ``qwen_app.knowledge``.
"""
