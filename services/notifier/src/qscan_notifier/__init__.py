"""Notices of qscan to people."""
