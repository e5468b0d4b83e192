"""How score_dataset.py scores: its file, and cross-fitting."""
