"""Sweeps: which jobs there are and where, processes that run them, and a table of how far they are."""
