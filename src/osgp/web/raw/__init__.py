"""One table as it was read, explained byte by byte. Project choice."""
