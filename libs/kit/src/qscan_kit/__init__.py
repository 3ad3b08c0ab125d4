"""What every service needs and that knows no mail: bus, settings, telemetry, log, health."""
