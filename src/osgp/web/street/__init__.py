"""The street of a data concentrator: a map of its devices and links, back in time too, its events, each device. Project choice."""
