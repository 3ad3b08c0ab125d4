"""Openers of containers: archives, office files, wrapped messages. They run in the sandbox, never in the service."""
