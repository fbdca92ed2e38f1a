"""The one error of this package, apart from all else: a command names it before anything is installed."""


class RecordError(ValueError):
    """A record that cannot be trusted, in one line: which one, what is wrong, what was expected."""
