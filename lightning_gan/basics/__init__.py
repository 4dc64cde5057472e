"""What knows no model: images as numbers, seeds, and the cache folder."""
