"""Guest links over HTTP: a door that knows guests, the wall that keeps them to their own site, the presenter's routes.

Imports ``http``, the errors, the guests, the service, the settings and the status; neither the page nor the API.
Start with ``guest_wall.py``, then ``presenter_routes.py``.
"""
