"""A stage: one node of work, keyed by the content of its spec and of its parents."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxseg.core import binding, errors, hashing, lookup
from jaxseg.core import manifest as manifests

KINDS = "jaxseg.transfer.kinds"
OWN = ("kind", "parents", "labels")


def arguments(
    *,
    kind: str,
    parents: Mapping[str, str] | None = None,
    labels: Sequence[Mapping[str, str | int | bool | None]] | None = None,
) -> None:
    """What every kind of stage takes beside its own arguments: OWN."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """What to make, from what. Kind, spec, parents' keys and versions enter `key`."""

    name: str
    kind: str
    spec: dict[str, Any]  # resolved: says everything, with all defaults
    parents: dict[str, str]  # {role: stage name}
    parent_keys: dict[str, str]  # {role: key}
    labels: tuple[dict[str, Any], ...]  # where the result stands in tables
    versions: dict[str, int]
    key: str  # 64 hex digits
    made_from: Mapping[str, "Stage"] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )  # {role: the parent itself}

    @property
    def short(self) -> str:
        """The key as folders carry it."""
        return self.key[:20]


def bind(name: str, section: Any) -> dict[str, Any]:
    """The section of one stage with all defaults of its kind written in."""
    where = f"stages/{name}"
    if not isinstance(section, Mapping) or "kind" not in section:
        known = ", ".join(lookup.names(KINDS))
        raise errors.UserError(
            f"{where}: found {section!r}, allowed: a section with a 'kind' of {known}"
        )
    head = {key: value for key, value in section.items() if key in OWN}
    own = {key: value for key, value in section.items() if key not in OWN}
    with _located(where):
        head = binding.bind(arguments, section=head, where=where)
        head |= {"parents": head["parents"] or {}, "labels": head["labels"] or []}
        module = lookup.load(KINDS, head["kind"])
        bound = binding.bind(module.arguments, section=own, where=where)
        return head | module.bind(bound, where)


def resolve(
    name: str, bound: Mapping[str, Any], made_from: Mapping[str, Stage]
) -> Stage:
    """The stage of a bound section; made_from: {role: parent}."""
    where = f"stages/{name}"
    module = lookup.load(KINDS, bound["kind"])
    own = {key: value for key, value in bound.items() if key not in OWN}
    with _located(where):
        spec = module.resolve(own, where)
        parents = {role: made_from.get(role) for role in bound["parents"]}
        module.check_parents(spec, parents, where)
        parent_keys = {role: parent.key for role, parent in made_from.items()}
        versions = {"kind": module.VERSION} | module.versions(spec)
        decides = {
            "schema": manifests.SCHEMA,
            "kind": bound["kind"],
            "spec": module.keyed(spec),
            "parents": parent_keys,
            "versions": versions,
        }
        key = hashing.key(decides)
    return Stage(
        name=name,
        kind=bound["kind"],
        spec=spec,
        parents=dict(bound["parents"]),
        parent_keys=parent_keys,
        labels=tuple(bound["labels"]),
        versions=versions,
        key=key,
        made_from=dict(made_from),
    )


@contextlib.contextmanager
def _located(where: str) -> Iterator[None]:
    """Puts `where` before a message that does not say it."""
    try:
        yield
    except errors.UserError as error:
        if where not in str(error):
            error.args = (f"{where}: {error}",)
        raise
