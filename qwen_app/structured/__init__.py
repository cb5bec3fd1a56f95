"""Structured output: grammars, the closer that keeps documents whole, tool calls."""
