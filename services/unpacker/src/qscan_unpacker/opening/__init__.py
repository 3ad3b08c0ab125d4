"""Openers of containers: archives, office files, wrapped messages. They run in the sandbox only, never in the service."""
