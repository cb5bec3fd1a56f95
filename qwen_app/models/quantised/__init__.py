"""Models whose layers are held in 4 and 8 bits: read from their files tensor by tensor, never unpacked as a whole.

May import errors and linear alone. ``skeleton`` builds the model; beside it is a module for each kind of file.
Start with ``load``, then ``skeleton``.
"""
