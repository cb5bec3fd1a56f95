"""Text as searches compare it, those of files and those of chats.

Imports nothing of ours. Start with ``folding.py``, then ``compounds.py``.
"""
