"""Whether there is a notice, and what it says: pure functions."""
