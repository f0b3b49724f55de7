"""Mine, filter and store hard negatives."""
