"""The scenarios tab: tasks at a click, each with a verdict, and a report to take away.

May import ``scenarios``, the service and ``ui.shared``; no other tab.
Start with ``tab.py``, then ``actions.py``; tasks and checks are in ``qwen_app.scenarios``.
"""
