"""The JSON lab: a prompt and a schema, answers that keep to it, and runs with and without the constraint.

May import the service, schemas and grammars of ``structured`` and ``ui.shared``; no other tab.
Start with ``tab.py``, then ``actions.py``; ``progress.py`` follows a document while it is written.
"""
