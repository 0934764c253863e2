"""Running a control recipe: the state table, the engine's step, the executed record."""
