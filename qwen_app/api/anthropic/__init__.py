"""Anthropic's Messages API over the same service: ``POST /v1/messages``, whole and streamed, and ``count_tokens``.

Imports ``access``, ``protocol`` and the parts of ``endpoints``; nothing of OpenAI's endpoints.
Start at ``message_request.py`` for what comes in, then ``message_input.py``, ``message_body.py`` and ``routes.py``.
"""
