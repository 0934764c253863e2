"""The bank: linear filters over the scaled deviations of a unit, which the statistics are built on."""
