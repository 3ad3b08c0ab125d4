"""Owner of all site rules of qscan."""
