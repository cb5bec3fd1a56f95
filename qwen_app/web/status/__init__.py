"""What the machine is doing, for everybody who looks at the page: sampled once a second, streamed to all.

Imports ``http``, the errors, the messages and the service; neither the page nor the API.
Start with ``live_status.py`` (samples), then ``stream.py`` (the route).
"""
