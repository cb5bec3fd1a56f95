"""The engines that answer requests: local (a model on this machine) and remote (another server).

May import messages, errors and the fair share; torch, transformers and llguidance are for ``local`` alone, and nothing
of the web.
Start with ``base``, the contract that every engine keeps.
"""
