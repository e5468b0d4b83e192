"""How visualise.py draws: videos, images and tables of episodes."""
