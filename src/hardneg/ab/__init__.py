"""Two rankings of the same queries before a rollout: what changes for whom, and whether it may go out."""
