"""What visitors upload: tables and documents, from the socket to a child process as bytes. Nothing becomes a file here.

May import errors, http, the sandbox, and the rooms that keep what was uploaded. Start reading at ``body.py``.
"""
