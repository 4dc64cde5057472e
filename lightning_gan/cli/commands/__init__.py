"""Commands that run without a Trainer, a file each."""
