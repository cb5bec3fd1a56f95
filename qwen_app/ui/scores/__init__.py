"""How likely the words of an answer were, and when they came, as the page keeps it: short, and so many at most.

May import messages alone; ``ui.shared`` and all above it may import it.
Start with ``scored_token.py``, then ``pace.py``.
"""
