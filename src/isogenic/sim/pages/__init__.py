"""Pages of facilities that do not exist: what is inside them, and their twins."""
