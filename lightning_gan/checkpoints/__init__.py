"""Files of a run: written whole, read as plain data, and how parts are named in them."""
