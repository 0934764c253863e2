"""One facility that works alone: node, scan loop, drivers, outbox."""
