"""Screens: each a pure function from what is known to a page of HTML."""
