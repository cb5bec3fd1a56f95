"""The page: a folder a tab (``chat``, ``json_lab``, ...; ``tabs.py`` lists them), and what they share beside them.

May import the service and what a request is made of, never an engine. Tabs import ``shared`` and never each other.
Start with ``page.py``, then a tab: ``tab.py`` (components, wiring), ``actions.py`` (what it does), ``view.py`` (HTML).
"""
