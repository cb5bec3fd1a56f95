"""The chat tab: a conversation, its settings, and the meter of the context.

May import the service, messages and ``ui.shared``; no other tab.
Start with ``tab.py`` (which event starts what), then ``actions.py``; ``conversation.py`` holds the turns as values.
"""
