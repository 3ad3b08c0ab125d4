"""`qscan.toml`: a table per service, checked against the services' own settings classes."""
