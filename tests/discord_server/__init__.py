"""Discord on loopback, for discord.py's real clients. Not called `discord`, which is a name that is taken."""
