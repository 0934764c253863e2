"""The life of a monitoring model: intended use, one test on data never used, two signatures, release, and what sites make of it."""
