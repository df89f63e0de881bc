"""Arguments of the commands that show images to an artifact, and what they mean."""

import argparse
from typing import Any

from jaxseg.core import command, errors
from jaxseg.evals import protocol

PROTOCOL = ("mode", "overlap", "scales", "normalization")  # None: the default


def add(parser: argparse.ArgumentParser) -> None:
    """Which model, and how it sees an image."""
    given = parser.add_argument
    given("--artifact", required=True, metavar="DIR", help="a folder in artifacts/")
    given("--head", metavar="NAME", help="(default: the first of the artifact's)")
    given("--size", metavar="HxW", help="canvas or window (default: that of training)")
    given("--mode", help="whole or sliding (default: whole)")
    given(
        "--overlap", type=float, metavar="X", help="of windows, from 0 (default: 0.5)"
    )
    given(
        "--scales",
        type=command.numbers,
        metavar="X,X",
        help="scores are averaged (default: 1)",
    )
    given("--flip", action="store_true", help="average with the mirrored image")
    given("--batch", type=command.count, metavar="N", help="images or windows at once")


def protocol_of(arguments: argparse.Namespace) -> protocol.Protocol:
    """The protocol that the arguments ask for; UserError by the name of an argument."""
    given: dict[str, Any] = {"flip": arguments.flip}
    for name in PROTOCOL:
        if getattr(arguments, name, None) is not None:
            given[name] = getattr(arguments, name)
    try:
        return protocol.build(**given)
    except errors.UserError as error:
        raise errors.UserError(f"--{error}") from None
