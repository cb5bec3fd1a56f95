"""What visitors uploaded and have not sent yet: in memory alone, within limits, each his own.

May import the errors and the fair share.
Start with ``upload_store``, then ``table_store``.
"""
