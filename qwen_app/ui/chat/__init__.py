"""The chat tab: a conversation, its settings, and the meter of the context.

May import the service, messages and all of ``ui`` that is no tab.
Start with ``tab.py`` (which event starts what), then ``actions.py``; the chat itself is in ``ui.conversations``.
"""
