"""The qscan command: the whole system on one machine, and everything an administrator asks of it."""
