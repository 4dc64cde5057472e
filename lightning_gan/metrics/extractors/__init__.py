"""Feature extractors: frozen functions from images to vectors."""
