"""Towers: from tokens to vectors."""
