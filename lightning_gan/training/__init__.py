"""One update, readable from top to bottom, in plain PyTorch."""
