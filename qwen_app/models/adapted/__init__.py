"""What is changed of a model once it is loaded: its numbers' range, how far its positions reach.

May import nothing of ours. Start reading at ``long_context.py``.
"""
