"""Documents of visitors: what is read out of a file, as text with marks that answers cite, and for how long it is kept.

May import errors, the turnstile of ``http``, and the sandbox, in whose children files are opened (``readers``). Start
reading at ``document.py``, then ``extraction.py``: bytes in, document out.
"""
