"""The generation engines. Needs torch, transformers and llguidance, and nothing of the web."""
