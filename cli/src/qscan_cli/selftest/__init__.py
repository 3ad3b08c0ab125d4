"""`qscan selftest`: four messages through qscan-queue, and what becomes of them."""
