"""Which samples are measured, all measures of them, and values with their stamp."""
