"""Tools: how calls are written and read (prompt_format, messages, parser), and the built-in ones that anybody may run.

May import errors, messages and ``structured``. Knows no grammar, no engine and no page.
Start at ``prompt_format.py`` for what the model sees, ``parser.py`` for what it writes, ``builtin.py`` to add a tool.
"""
