"""The presenter's hand on all that is answered: a pause for what is new, an end for what is running.

May import the errors and the messages. The service hands every answer through it.
All of it is in ``stage.py``.
"""
