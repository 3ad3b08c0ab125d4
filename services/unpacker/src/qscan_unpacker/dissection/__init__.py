"""From the bytes of a message to its components and defects."""
