"""Serving: a corpus embedded into an index that knows which model made it, checked whenever it is opened."""
