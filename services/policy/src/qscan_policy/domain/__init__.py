"""What rules say and do: pure, without I/O and without a clock."""
