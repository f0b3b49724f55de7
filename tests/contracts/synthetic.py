"""Small made-up batches and score matrices, for all tests: those that the package gives to all."""

from hardneg.testing.synthetic import *  # noqa: F403
