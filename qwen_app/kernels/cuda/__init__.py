"""Kernels for a card: in CUDA C++, compiled by what comes with torch, and in Triton."""
