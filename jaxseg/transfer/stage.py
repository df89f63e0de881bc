"""A stage: one node of work, keyed by the content of its spec and of its parents."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, hashing, lookup, sections

KINDS = "jaxseg.transfer.kinds"
SCHEMA = 1  # of manifests; goes up when their meaning changes
# What every kind of stage takes beside its own arguments.
OWN = ("kind", "parents", "labels")


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

    @property
    def short(self) -> str:
        """The key as folders carry it."""
        return self.key[:20]


def bind(name: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """The section of one stage with all defaults of its kind written in."""
    where = f"stages/{name}"
    if "kind" not in section:
        raise errors.UserError(
            f"{where}: key 'kind' is missing. Known: {', '.join(lookup.names(KINDS))}"
        )
    module = lookup.load(KINDS, section["kind"])
    own = {key: value for key, value in section.items() if key not in OWN}
    bound = sections.bind(module.arguments, section=own, where=where)
    parents = dict(section.get("parents") or {})
    labels = [dict(label) for label in section.get("labels") or ()]
    head = {"kind": section["kind"], "parents": parents, "labels": labels}
    return head | module.bind(bound, where)


def resolve(
    name: str, bound: Mapping[str, Any], parent_keys: Mapping[str, str]
) -> Stage:
    """The stage of a bound section once its parents have keys."""
    where = f"stages/{name}"
    module = lookup.load(KINDS, bound["kind"])
    own = {key: value for key, value in bound.items() if key not in OWN}
    spec = module.resolve(own, where)
    module.check_parents(spec, bound["parents"], where)
    versions = {"kind": module.VERSION} | module.versions(spec)
    return Stage(
        name=name,
        kind=bound["kind"],
        spec=spec,
        parents=dict(bound["parents"]),
        parent_keys=dict(parent_keys),
        labels=tuple(bound["labels"]),
        versions=versions,
        key=hashing.key(
            {
                "schema": SCHEMA,
                "kind": bound["kind"],
                "spec": module.keyed(spec),
                "parents": dict(parent_keys),
                "versions": versions,
            }
        ),
    )
