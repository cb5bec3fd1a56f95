"""Where a visitor's text meets costly or native code: child processes with limits of CPU time, memory and wall time.

May import what it runs (``structured``, ``tools``), messages, errors and the fair share. Start reading at
``pool.py``, then ``child.py``; ``tasks.py`` has what can be asked.
"""
