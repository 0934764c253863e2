"""Drivers: how readings come in and set-points go out."""
