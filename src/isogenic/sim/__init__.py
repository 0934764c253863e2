"""Facilities that do not exist: process models, sensors, faults, worlds from a seed."""
