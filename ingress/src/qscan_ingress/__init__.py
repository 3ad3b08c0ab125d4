"""qscan-ingressd: stands between qscan-queue and the unpacker, beside the MTA."""
