"""The HTTP API: ``access`` (who may), ``protocol`` (shapes), ``endpoints`` (OpenAI's), ``anthropic`` (Messages).

May import the service, metrics, settings and ``http``; never the page, nor the engine beyond its types.
Start at ``routes.py``, then ``endpoints/chat_completions.py``.
"""
