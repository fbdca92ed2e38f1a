"""The one error class of this package: bad input, told in one line."""


class PretrainError(ValueError):
    """What was wrong, what was expected, what to do next, in one line; the command line prints it and exits
    2.
    """
