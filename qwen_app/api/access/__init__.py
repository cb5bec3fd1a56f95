"""Who may use the API and how much: keys, callers' limits, and the checks around every endpoint.

Imports the protocol's errors, the metrics, the settings and ``http``; no endpoint.
Start at ``request_guard.py``, the dependency that names the caller.
"""
