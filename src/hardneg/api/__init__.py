"""hardneg in Python: data from frames and data sets, training, and the run that comes of it."""
