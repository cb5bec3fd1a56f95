"""Words of the tabs beside the chat, a file a tab or two.

May import nothing. A new file is joined to ``TAB_AREAS``: start with ``areas.py``.
"""
