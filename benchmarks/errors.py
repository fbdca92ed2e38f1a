"""What a user can get wrong on the command line."""


class UsageError(ValueError):
    """One clear line: what, got, expected, next step."""
