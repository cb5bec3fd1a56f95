"""OpenAI's shapes: request and response bodies, errors, event streams, and their translation to the engine's values.

Imports the service, the engine's types, messages and errors; knows nothing of keys or paths.
Start at ``request_bodies.py``, then ``request_translation.py`` (in) and ``answer.py`` (out).
"""
