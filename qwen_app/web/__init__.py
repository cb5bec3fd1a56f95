"""What stands between the network and the page: its guard, its login, its uploads and its public link.

Imports ``http``, the errors, the settings and the saved chats; neither the page nor the API.
Start at ``wall.py``, which every request passes; ``install.py`` puts on the app what stands behind the login.
"""
