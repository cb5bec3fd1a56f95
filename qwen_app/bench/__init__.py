"""``python -m qwen_app.bench``: how fast the model is on this machine, from the command line.

Imports ``performance``, and ``serve`` to load a model, or the remote engine to measure through a running server.
Everything is in ``__main__.py``; the measurement itself in ``qwen_app.performance``.
"""
