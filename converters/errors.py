"""The one error that this package raises for a file, folder or option that it cannot accept."""


class CheckpointError(ValueError):
    """One line for the user: what is wrong, what was found, what was expected, what to do next."""
