"""Specifications, deviations and release."""
