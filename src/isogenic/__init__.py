"""Isogenic: one released process, many small facilities, one product."""

__version__ = "0.1.0"
