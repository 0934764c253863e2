"""API, sign-in and screens."""
