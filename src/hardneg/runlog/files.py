"""The names that loggers give their files in the folder of a run, for all who read or remove these."""

METRICS = "metrics.csv"
WANDB_ID, MLFLOW_ID, AIM_ID = "wandb_run_id", "mlflow_run_id", "aim_run_hash"
TENSORBOARD = "tensorboard"  # a folder
