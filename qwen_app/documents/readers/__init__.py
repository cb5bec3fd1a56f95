"""Readers: a file's bytes to a document, one module a kind. They run in a child of the sandbox and nowhere else.

May import the values of ``documents`` and errors. Start reading at ``tasks.py``, then ``kinds.py``.
"""
