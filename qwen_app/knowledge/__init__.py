"""A knowledge base: each owner's collections of files on the server, cut into passages that a search finds.

May import errors, the fair share, ``searched_text``, ``documents`` (what is in a file) and the database helpers of
``saved_chats``. Everything but ``knowledge_base.py`` and what makes vectors blocks. Start with ``passages.py``, then
``file_store.py`` and ``search.py``.
"""
