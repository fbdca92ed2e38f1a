"""Defines the package's error, apart from all else: it must have a name before anything is installed."""


class RecordError(ValueError):
    """Bad records, directories and requests, in one line: which one, what is wrong, what was expected."""
