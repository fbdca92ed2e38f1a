"""Defines the package's errors: each is one line with the place, the fault, the expectation and a remedy."""


class TransferError(ValueError):
    """The user can mend this; the command line prints it as `error: ...` and exits with 2."""


class Interrupted(Exception):
    """A signal asked the run to stop; its state is saved."""


class DataError(TransferError):
    """A data set, an annotation or a prediction file is missing or wrong."""


class DiskError(TransferError):
    """A file could not be written; the work until then is kept, and goes on when there is room."""
