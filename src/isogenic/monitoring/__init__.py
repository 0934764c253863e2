"""Reference models of good batches, detection and explanation."""
