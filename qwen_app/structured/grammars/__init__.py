"""Constrained decoding: from a format or a set of tools to a grammar, and from its state to a token bitmask a step.

May import errors, messages, ``tools`` (how calls are written), ``structured`` and ``structured.closing``.
Start at ``compiler.py``, which makes a ``grammar_source`` and of it a ``grammar``. A new format goes to ``source_of``.
"""
