"""What the model would say next: the likeliest tokens, redrawn in the browser as the sliders move.

May import the service, messages and ``ui.shared``; ``ui.chat`` shows it among its settings.
Start with ``panel.py``; ``next_token.js`` draws.
"""
