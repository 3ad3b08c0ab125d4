"""Aggregation and decision: pure, without I/O and clock."""
