"""The only part of qscan that knows spam filters."""
