"""What several commands need: checkpoints, datasets, predictions, metrics, drawings, and the command line."""
