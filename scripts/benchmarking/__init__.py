"""What the benchmark's commands share: data, training runs, predictions, metrics, tables and drawings."""
