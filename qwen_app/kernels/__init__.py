"""Kernels of our own: for a card in CUDA C++ and Triton (``cuda``), for a CPU in C++ (``cpu``).

May import nothing of ours: everything here takes tensors and gives tensors.
Start with ``step_kernels``: what a decode step needs between its products, in torch, as all others must compute it.
"""
