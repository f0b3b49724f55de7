"""Teachers and guides: other models that score documents or lend their vectors, and which one is asked."""
