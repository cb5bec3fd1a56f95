"""What two tabs or more use: words, looks, handlers' values, notices, snapshots of answers, and "use from code".

May import the service, the settings, messages, what is kept for visitors, and ``ui.words``; no tab.
Start with ``context.py`` (what a tab is built with) and ``handlers.py`` (what Gradio hands over and takes back).
"""
