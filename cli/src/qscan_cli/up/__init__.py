"""`qscan up`: the whole system on one machine, watched over."""
