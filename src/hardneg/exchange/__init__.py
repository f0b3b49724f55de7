"""Encoders in and out: the folders that sentence-transformers and Hugging Face read."""
