"""Intake, dissection, fan-out, aggregation and decision of qscan."""
