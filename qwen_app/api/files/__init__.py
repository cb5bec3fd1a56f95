"""Files of callers of the API: uploads, vector stores (collections of the knowledge base) and embeddings, as OpenAI's.

May import ``api.access``, ``api.endpoints``, ``api.protocol``, ``documents``, ``knowledge`` and ``uploads``. Start at
``routes.py``; cutting and searching are in ``qwen_app.knowledge``.
"""
