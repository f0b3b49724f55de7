"""hardneg in Python: data from frames and data sets, training, and the resulting run."""
