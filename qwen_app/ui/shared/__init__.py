"""What two tabs or more use: words, looks, handlers' values, notices, snapshots of answers, and "use from code".

May import the service, settings, messages and ``tools``; no tab.
Start with ``context.py`` (what a tab is built with) and ``handlers.py`` (what Gradio hands over and takes back).
"""
