"""The public link: Gradio's tunnel to our server, opened, watched, opened again, and told about when it is gone.

May import http. Nothing here ever holds the local page up.
Start at ``link.py``; ``tunnel.py`` is the program that makes the tunnel, ``state.py`` what is told of it.
"""
