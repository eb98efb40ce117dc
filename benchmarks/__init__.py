"""Measurements: always a ratio, both sides in one run, on the same machine."""
