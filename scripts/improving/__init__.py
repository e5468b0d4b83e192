"""Makes a policy better with the rollouts that it has recorded: scripts/improve.py."""
