"""Pair filters: which of the labelled pairs are trained on."""
