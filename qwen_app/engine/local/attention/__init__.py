"""Attention over the KV cache: how a packed step of many conversations reads and writes keys and values.

May import errors and kernels; the model runner and CUDA graphs stand on it.
Start with ``batch``, then ``sdpa`` (any device) and ``flash`` (CUDA); ``choice`` takes one and checks it.
"""
