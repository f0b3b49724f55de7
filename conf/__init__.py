"""Hydra configs; a package, so that they are found from any directory."""
