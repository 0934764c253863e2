"""Isogenic: one released process, many small facilities, one product."""
