"""Losses over the score matrix."""
