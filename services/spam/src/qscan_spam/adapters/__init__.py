"""Spam filters, one module each."""
