"""What runs are worth once they stand: their rows read back, their profiles, drift over time, quality by labels."""
