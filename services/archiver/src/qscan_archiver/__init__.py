"""Quarantine, archive and log files of qscan."""
