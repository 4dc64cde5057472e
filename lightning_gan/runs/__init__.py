"""Runs as they lie on the disk: their records, lists and tables of many, and pages."""
