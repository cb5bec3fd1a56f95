"""Files of callers of the API: uploads, vector stores (collections of the knowledge base) and embeddings, as OpenAI's.

May import ``api.access``, ``api.endpoints``, ``api.protocol``, ``documents`` and ``knowledge``. Start reading at
``routes.py``; cutting and searching are in ``qwen_app.knowledge``.
"""
