"""A trained generator for others: weights, graphs, and what has to be said about them."""
