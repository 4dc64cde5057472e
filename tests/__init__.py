"""The tests, a package so that processes find them whatever else is installed under that name."""
