"""The tasks this model is chosen for, each with its input, what is expected of the answer, and a check of it.

Imports the service, messages, reports and tools; no page. A tab runs them and shows their verdicts.
Start with ``tasks.py``, then ``checks.py``; ``running.py`` asks, ``report.py`` tells what came of it.
"""
