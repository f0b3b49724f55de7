"""Training: the modules, what they need, the fit, and the end of a run."""
