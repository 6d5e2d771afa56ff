"""The errors a user can cause, and the exit codes they end with."""

from errno import EHOSTDOWN, EHOSTUNREACH, EIO, ENODEV, ENOTCONN, ENXIO, ESTALE, ETIMEDOUT
from typing import TypeGuard

EXIT_FAILED = 1  #: something failed that is not the user's input (a bug, a lost executor)
EXIT_BAD_INPUT = 2  #: input, setting or environment that the user can mend

#: What the system says of a file system that is away, and may come back: a network or a volume that fails.
AWAY = {EIO, ENXIO, ENODEV, ENOTCONN, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, ESTALE}


class VitrineError(Exception):
    """A failure shown to the user in one line: what, where, what to do.

    The command line and the jobs print the message without a stack trace and exit with
    `exit_code`.
    """

    exit_code = EXIT_FAILED


class InputError(VitrineError):
    """The event log, a setting or the environment is wrong; the user can mend it."""

    exit_code = EXIT_BAD_INPUT


class BundleError(VitrineError):
    """A model bundle is missing, damaged or of another schema version."""

    exit_code = EXIT_BAD_INPUT


def is_of_the_system(error: BaseException) -> TypeGuard[OSError]:
    """Whether the system does not give a file, whatever is in it; Arrow's own errors have no number."""
    return isinstance(error, OSError) and error.errno is not None


def is_away(error: OSError) -> bool:
    """Whether a file system is away for a moment, so that the same may go well later."""
    return error.errno in AWAY
