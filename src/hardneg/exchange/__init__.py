"""Export and import of encoders, as folders that sentence-transformers and Hugging Face read."""
