"""Whether a finished stage was made of the data that are here now.

Own data are in the key. Of a catalogue set the key holds name and version, and the
manifest the digest of what was read: compared here where the data are on this machine.
"""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, hashing
from jaxseg.data import catalogue
from jaxseg.data.spec import OPENED, DataSpec
from jaxseg.transfer import stage as stages

SHOWN = 16  # hex digits of a digest in messages
_log = logging.getLogger(__name__)
Known = dict[str, str | None]  # {data section: its digest now}, of one run


def check(one: stages.Stage, manifest: Mapping[str, Any], known: Known) -> None:
    """UserError for a data set that has other content than when the stage was made."""
    sections = stages.kind(one.kind).reads(one.spec)
    for name, data in sections.items():
        then = manifest.get("data", {}).get(name, {})
        if "digest" not in then:  # made by a version that kept none
            continue
        now = _digest(dataclasses.replace(data, full_digest=then["full_digest"]), known)
        if now not in (None, then["digest"]):
            raise _other_copy(name, data, now, then)


def _digest(data: DataSpec, known: Known) -> str | None:
    """Of the data as they are; None where they are not, or where nothing can differ."""
    facts = catalogue.find(data.name)
    if data.of is not None:  # checked with the artifact of the parent
        return None
    if facts.own or not facts.on_disk:
        return None
    key = hashing.canonical([data.name, *(getattr(data, k) for k in OPENED)])
    if key not in known:
        known[key] = _found(data)
    return known[key]


def _found(data: DataSpec) -> str | None:
    try:
        catalogue.find_root(data.name, data.root)
    except errors.UserError:  # not on this machine: a plan or report is still right
        return None
    try:
        return data.open().digest()
    except errors.UserError as error:
        text = "not compared with the data that results were made of: %s"
        _log.warning(text, error)
        return None


def _other_copy(
    name: str, data: DataSpec, now: str, then: Mapping[str, Any]
) -> errors.UserError:
    root = catalogue.find_root(data.name, data.root)
    new, old = (text.rpartition(":")[2][:SHOWN] for text in (now, then["digest"]))
    return errors.UserError(
        f"{data.name} {data.split} ({name}) has other content than when this "
        f"stage was made: digest {new} in {root}, then {old} in {then['root']}. Fix: "
        "restore the data, or add --set 'stages/.*/data/copy=\"NAME\"' to the command, "
        "so that both copies have results of their own."
    )
