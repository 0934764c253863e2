"""Lots and what they are made of."""
