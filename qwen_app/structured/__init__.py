"""Constrained decoding (structured output): schemas checked, grammars compiled, answers closed in time or asked again.

May import errors and messages; ``grammars`` also ``closing`` and ``tools``. Knows no model, no engine, no web.
Start at ``grammars/compiler.py``; where a schema comes in from outside: ``schema_check.py``.
"""
