"""Text on its way to the page's markdown renderer: what the model wrote, and what the visitor typed.

May import ``ui.shared``; no tab. Nothing here is lost: an invisible character, taken out again on copying, does it all.
Start with ``answer.py``; ``growing.py`` draws one that is being written, ``typed.py`` is for questions.
"""
