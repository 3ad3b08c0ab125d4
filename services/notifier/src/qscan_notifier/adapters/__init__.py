"""The outside things of notifier: qmail-queue and the folder of what was sent."""
