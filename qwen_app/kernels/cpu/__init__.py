"""Kernels for a CPU, in C++, compiled by the machine's compiler when they are first wanted."""
