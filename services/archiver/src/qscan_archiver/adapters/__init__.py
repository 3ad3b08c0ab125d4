"""The outside things of archiver: the file system."""
