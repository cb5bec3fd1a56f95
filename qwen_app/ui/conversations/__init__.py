"""A chat apart from the page that shows it: its tree of turns, its answers on the server, its saved form, its title.

May import the service, ``live_answers``, ``saved_chats`` and ``ui.shared``; no tab.
Start with ``conversation.py`` (values), then ``open_chat.py`` and ``answering.py`` (what runs and is saved).
"""
