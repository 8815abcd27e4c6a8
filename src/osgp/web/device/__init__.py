"""One device: its values, load profile, events, visits and tables. Project choice."""
