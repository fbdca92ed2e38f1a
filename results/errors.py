"""The error of this package, in a module of its own: it has a name before anything is installed."""


class RecordError(ValueError):
    """Bad records, directories and requests, in one line: which one, what is wrong, what was expected."""
