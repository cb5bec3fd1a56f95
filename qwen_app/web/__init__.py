"""What stands between the network and the page: its guard, its login, its one upload and its public link.

Imports ``http``, the errors, the settings, the sandbox and the store of tables; neither the page nor the API.
Start at ``wall.py``, which every request passes; ``install.py`` puts on the app what stands behind the login.
"""
