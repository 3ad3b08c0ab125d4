"""What the ingress touches: descriptors, spool, unpackers."""
