"""Proof on one NVIDIA card: is the engine right there, and how close to its limit? In Qwen2.5-7B's shape, at random.

May import the engine, its tests' tokenizer and the other benchmarks. Start with ``__main__``, then ``right``: what it
calls wrong makes every figure of ``parts``, ``speed`` and ``engine`` worthless.
"""
