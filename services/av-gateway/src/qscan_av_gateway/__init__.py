"""The only part of qscan that knows anti-virus engines."""
