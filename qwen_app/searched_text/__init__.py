"""Text as searches compare it, those of files and those of chats.

Imports nothing of ours. All of it is in ``folding.py``.
"""
