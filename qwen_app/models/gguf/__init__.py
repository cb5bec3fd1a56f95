"""What we do about GGUF files beside their weights: a quick reader, and positions that transformers leaves unread.

May import ``models.adapted`` alone of ours. Start reading at ``quick_reader.py``.
"""
