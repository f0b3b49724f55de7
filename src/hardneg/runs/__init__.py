"""A run and its folder: what it is, how far it is, what it leaves behind."""
