"""Where a run writes its metrics: a CSV file in its folder, and W&B."""
