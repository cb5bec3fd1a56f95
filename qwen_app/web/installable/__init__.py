"""What lets a browser install the page as an app: a manifest and an icon, which hold nothing of anybody's.

Imports nothing of ours. Gradio's own manifest has addresses that a path of a proxy or a login breaks.
All of it is in ``manifest.py``.
"""
