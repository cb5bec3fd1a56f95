"""Benchmarks: each prints a table, writes JSON, and compares in one run with what a user would otherwise pick."""

import qwen_app as qwen_app  # before torch: it sets how torch's threads wait
