"""The version of the package, as records name it."""

__version__ = "0.1.0"
