"""How fast the loaded model is on this machine: measured through the service, beside what the card and others say.

Imports the service, the models' memory plan, charts and wording; no page. ``qwen_app.bench`` and a tab use it.
Start with ``values.py``, then ``measuring.py``; ``report.py`` makes the tables.
"""
