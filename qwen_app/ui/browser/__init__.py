"""The page's script: what Gradio's front end lacks. Names, real dialogs, keys, scrolling, copying; a file each.

May import ``ui.shared`` for its words; no tab. Plain JavaScript without a build step, in one scope.
Start with ``script.py``, which puts the files together in the order they are listed there.
"""
