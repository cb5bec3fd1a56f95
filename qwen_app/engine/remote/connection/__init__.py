"""The connection to the other server: who answers there, whether it is well, and one request's stream of chunks.

May import the engine's contract, messages, errors, OpenAI's shapes, what a header may hold (``http``), and the texts of
tools and JSON. Start at upstream_client.py. What a server can do is its row in server_profile.py.
"""
