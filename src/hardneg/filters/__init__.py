"""Rules that say which candidates may serve as negatives."""
