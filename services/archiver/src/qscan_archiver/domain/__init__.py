"""What a quarantined file looks like: pure functions."""
