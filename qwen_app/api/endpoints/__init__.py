"""One file for each group of paths: its bodies, its route and what it does with the service.

Imports ``access``, ``protocol``, the service and the metrics; no other endpoint's file but for shared bodies.
Start at ``chat_completions.py``; ``all_routes.py`` lists the groups.
"""
