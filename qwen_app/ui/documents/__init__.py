"""Documents on the page: what waits in the composer, its tokens, and how chips of documents are drawn.

May import the documents, the service, errors and what tabs share. Start reading at ``attaching.py``.
"""
