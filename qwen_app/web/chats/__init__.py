"""Saved chats over HTTP: whose a request's chats are, the page's routes for its list, and links for everybody.

Imports ``http``, the errors and ``saved_chats``; neither the page nor the service.
Start with ``owner_cookie.py`` (who may read), then ``routes.py``; ``shared_page.py`` is what a link shows.
"""
