"""Sources of negatives."""
