"""The tools tab: tools to define, and the calls a model makes of them, round after round.

May import the agent loop, the service, ``tools``, ``structured`` and ``ui.shared``; no other tab.
Start with ``tab.py``, then ``actions.py``; ``definitions.py`` reads tools as people write them.
"""
