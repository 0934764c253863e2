"""Modules that describe themselves by a Module Type Package (VDI/VDE/NAMUR 2658): read, written, compared, checked."""
