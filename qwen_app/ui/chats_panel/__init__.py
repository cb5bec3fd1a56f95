"""The list of saved chats at the page's left, and the channel by which the page's own scripts call the chat tab.

May import ``ui.shared`` alone; the list itself comes from the routes in ``qwen_app.web.chats``.
Start with ``panel.py``, then ``panel.js`` (list, menus, drafts); ``reconnect.js`` watches the connection.
"""
