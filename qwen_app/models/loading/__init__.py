"""A checkpoint to a model in memory.

Start reading at loader.py, then source.py: what is read of a checkpoint, and as what. reader.py reads it, by dense.py
or four_bits.py; loaded_model.py is what comes out.
"""
