"""Models on disk and in memory: which there are, how they are fetched, checked, sized and loaded.

May import errors, and ``start``, which is told how far a download is; ``quantised`` below it also linear. Nothing here
knows of the engine, the settings or the web.
Start reading at download.py (a name becomes a checkpoint), then memory_plan.py and loading/loader.py.
"""
