"""The fleet: one row for each device. Project choice."""
