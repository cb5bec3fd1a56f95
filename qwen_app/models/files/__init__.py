"""A model's files on disk: room for them, what makes them whole, what we refuse, and the manifest that proves it.

May import errors alone, and of ``models.quantised`` which formats it takes. Start reading at checkpoint.py, then
folder.py.
"""
