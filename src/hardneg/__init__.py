"""hardneg: train dual-encoder retrievers with the right negatives."""

from importlib.metadata import version

__version__ = version("hardneg")
