"""How far a start has come: told by what loads, read by the loading page.

May import nothing, for every layer tells it.
Start with ``progress.py`` (stages, bytes, seconds left); ``times.py`` keeps how long the start before took.
"""
