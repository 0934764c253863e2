"""The ISA-88 procedure at four levels, from general recipe to control recipe."""
