"""Guest links: who was invited under which name, until when, for how many answers; kept in the database of the chats.

May import the errors, the fair share, the stage and the saved chats.
Start with ``guest.py``, then ``guest_book.py`` (who may do what); ``guest_store.py`` reads and writes.
"""
