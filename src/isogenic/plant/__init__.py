"""The ISA-88 physical model: sites, units, modules, what they can do and what they measure."""
