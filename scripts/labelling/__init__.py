"""The labelling page of scripts/label.py: its server, the label file, and what the page shows."""
