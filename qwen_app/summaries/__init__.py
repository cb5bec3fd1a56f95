"""Documents that exceed the context, read part by part: notes on each part, joined until an answer can be made of them.

May import errors, messages, ``documents`` and the service, of which it is one user among others.
Start reading at ``values.py``, then ``reading.py``.
"""
