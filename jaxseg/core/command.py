"""The frame of every command: errors that a user can fix end in a message."""

import argparse
import errno
import functools
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxseg.core import errors, text

LOGGED = "%(levelname)s: %(message)s"
INTERRUPTED, PIPE_CLOSED = 130, 141  # as shells count signals
OURS = (Path(__file__).parent.parent, Path(sys.prefix))
SPACE = "free space there, or give another path"
OTHER = "give another path"
PERMISSION = "change its permissions, or give another path"
FIXES = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EFBIG: "raise `ulimit -f`",
    errno.EMFILE: "raise `ulimit -n`",
    errno.EROFS: OTHER,
    errno.EIO: "look at the disk",
    errno.ENOENT: "make it first, or give another path",
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.ENOTDIR: "a part of this path is a file; " + OTHER,
    errno.EISDIR: "this is a folder; give the path of a file",
    errno.EEXIST: OTHER,
    errno.ELOOP: OTHER,
    errno.ENAMETOOLONG: OTHER,
    errno.EINVAL: OTHER,
}
ANYWHERE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.EIO)


def entry(
    main: Callable[[Sequence[str]], int | None],
) -> Callable[[Sequence[str] | None], int]:
    """A `main(argv)` with logging, escaped output and an exit code.

    The code is that of `main`; of a UserError, whose message is printed; 2 for a path
    that the system refuses; 130 for Ctrl-C; 141, without a message, where the reader of
    a pipe has ended. Other exceptions are bugs and are raised.
    """

    @functools.wraps(main)
    def started(argv: Sequence[str] | None = None) -> int:
        sys.stdout.reconfigure(errors="backslashreplace")  # names need not be text
        try:
            with text.escaped():
                logging.basicConfig(level=logging.WARNING, format=LOGGED)
                return _run(main, sys.argv[1:] if argv is None else argv)
        except BrokenPipeError:
            # Python flushes stdout once more at its end, which must not fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return PIPE_CLOSED

    return started


def _run(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    try:
        try:
            return main(argv) or 0
        finally:
            sys.stdout.flush()  # here, so that a full disk or a closed pipe is caught
    except errors.UserError as error:
        if errors.traced():
            traceback.print_exception(error)
        message, code = str(error), error.exit_code
    except KeyboardInterrupt:
        print("jaxseg: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        message, code = refused(error), errors.UserError.exit_code
        if not message:
            raise
    print(f"jaxseg: {message}", file=sys.stderr)
    return code


def refused(error: OSError) -> str:
    """The message with path, reason and fix; "" where the path is not the user's, or
    where a user cannot fix it.
    """
    named = error.filename is not None
    if error.errno not in (FIXES if named else ANYWHERE):
        return ""
    if not named:
        return f"{error.strerror}. Fix: {FIXES[error.errno]}"
    where = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else None
    where = str(error.filename) if where is None else where
    if any(Path(where).absolute().is_relative_to(own) for own in OURS):
        return ""
    return f"{where!r}: {error.strerror}. Fix: {FIXES[error.errno]}"


def output_file(given: str) -> Path:
    """For argparse: the path of a file that can be written, checked before the work."""
    path = Path(given).expanduser()
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{given!r}: no such folder {str(path.parent)!r}. Fix: make it first"
        )
    if not given or path.is_dir():
        raise argparse.ArgumentTypeError(f"{given!r} is a folder. Fix: name a file")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{given!r}: no permission to write there")
    return path


def picture_file(given: str) -> Path:
    """For argparse: `output_file` with the suffix .png."""
    path = output_file(given)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{given!r}: allowed is a name in .png")
    return path


def at_least(low: int) -> Callable[[str], int]:
    """For argparse: a whole number of at least `low`."""

    def read(given: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", given) or int(given) < low:
            raise argparse.ArgumentTypeError(f"found {given!r}, allowed: {low} or more")
        return int(given)

    return read


count = at_least(1)


def size(given: str | None) -> tuple[int, int] | None:
    """(height, width) of `--size=HxW`; None where it is not given."""
    if given is None:
        return None
    sides = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", given)
    if not sides:
        raise errors.UserError(f"--size: found {given!r}, allowed: HxW, as in 256x512")
    return int(sides[1]), int(sides[2])


def numbers(given: str) -> list[float]:
    """For argparse: numbers with commas between them."""
    try:
        return [float(part) for part in given.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"found {given!r}, allowed: numbers such as 0.5,1,2"
        ) from None
