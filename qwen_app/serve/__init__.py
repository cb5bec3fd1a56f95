"""The process: from settings to a port that answers, a loading page until it does, pid file, logs and signals.

May import every other package; only app.py and download_model.py import this one.
Start reading at server.py, whose docstring draws the six steps of a start; build.py and engines.py make what answers.
"""
