"""Kernels of our own, for what a decode step does between its products: in torch, and fused in Triton for a card.

May import nothing of ours: everything here takes tensors and gives tensors.
Start with ``step_kernels`` (what a step needs, in torch), then ``choice`` (where the fused ones serve).
"""
