"""Personal data of patients and donors: kept apart, by identity code, one key for each person."""
