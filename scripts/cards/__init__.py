"""What card.py writes: the cards of a checkpoint and of a dataset."""
