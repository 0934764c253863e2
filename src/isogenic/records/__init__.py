"""Ground state: facts, their tree, their signatures, and the stores that keep them."""
