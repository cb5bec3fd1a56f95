"""Stand-ins for tests and benchmarks of what is built on an engine: the scripted engine, which needs no model.

May import engine, messages and errors.
Start with ``scripted_engine``.
"""
