"""What every HTTP request passes, page and API alike: an id, a bounded body, and the tests of hosts and paths.

Imports the errors alone: the settings, the page's web side and the API build on it.
Start at ``middleware.py``; ``addresses.py`` says what is on this machine, ``paths.py`` which paths belong to whom,
``origins.py`` which page sent a request, ``forwarded.py`` whose word about the sender is taken, ``root_path.py`` under
which path a proxy serves, ``visitors.py`` whom a request counts for and which cookies it brings, ``key_values.py`` what
a header carries of keys, ``server_address.py`` how another server is asked and named, ``declined_upgrades.py`` what
becomes of a request for another protocol.
"""
