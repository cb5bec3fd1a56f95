"""Text files of visitors: their bytes to text in whatever encoding, and what parts the fields of a table.

Imports nothing of ours. Start reading at ``encodings.py``, then ``code_pages.py``.
"""
