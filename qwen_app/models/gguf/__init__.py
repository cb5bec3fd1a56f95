"""What we do about GGUF files beside their weights: a quick reader, and what transformers leaves unread of positions,
sampling and ends.

May import ``models.adapted`` alone of ours. Start reading at ``metadata.py``.
"""
