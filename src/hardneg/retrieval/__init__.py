"""Embedding, search and metrics over whole corpora."""
