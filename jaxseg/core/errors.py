"""The exceptions that commands print as a message instead of a traceback."""


class UserError(Exception):
    """A mistake the user can mend: file, field, found, allowed and fix in its text.

    exit_code: of a command that it ends.
    """

    exit_code = 2


class Damaged(UserError):
    """A stored file whose bytes are not those that were written."""

    exit_code = 1


class Busy(UserError):
    """Another process is at work on the same thing."""

    exit_code = 3


class Diverged(UserError):
    """A training whose loss or weights are no longer finite: its spec does it again."""
