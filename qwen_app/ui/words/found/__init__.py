"""Sentences of the server that are found by their English: what is wrong with a schema, a tool, a file, a request.

May import nothing. A new file is joined to ``FOUND_AREAS``: start with ``areas.py``.
"""
