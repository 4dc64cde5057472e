"""Which samples are measured, all measures of them, and the report with its stamp."""
