"""What every qscan service needs and that knows no mail: bus, settings, telemetry, health."""
