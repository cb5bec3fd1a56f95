"""Chats that stay: a database of each user's chats, messages as a tree, shared links; SQLite by default, or PostgreSQL.

Imports errors, fair share, ``searched_text``, ``http``. All blocks: the loop goes by ``saved_chats.py``, with threads.
Start with ``values.py`` (what is saved), then ``chat_store.py``; ``database.py`` opens one, ``migrations`` make tables.
"""
