"""The performance tab: how fast the loaded model is on this machine, measured at a click.

May import ``performance``, the service and ``ui.shared``; no other tab.
Start with ``tab.py``, then ``actions.py``; the measurement itself is in ``qwen_app.performance``.
"""
