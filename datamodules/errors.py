"""The error that a user of the data modules can mend."""


class DataError(Exception):
    """Data that is missing, damaged or does not fit a setting; the message says how to mend it."""
