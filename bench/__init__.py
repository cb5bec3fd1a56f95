"""Benchmarks: each prints a table, writes JSON, and compares in one run with what a user would otherwise pick."""
