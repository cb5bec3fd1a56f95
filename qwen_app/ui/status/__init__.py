"""The status tab: plots of what the machine is doing.

May import ``ui.shared``; no other tab. The figures come to the browser by the server's own stream of samples.
Start with ``tab.py``; ``ui/browser/status.js`` listens to the stream and draws.
"""
