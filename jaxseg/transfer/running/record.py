"""The manifest of a stage that has run."""

from collections.abc import Mapping
from typing import Any

from jaxseg.core import licences, nested
from jaxseg.core import manifest as manifests
from jaxseg.transfer import store as stores
from jaxseg.transfer.stage import Stage


def manifest(
    one: Stage, facts: Mapping[str, Any], parents: Mapping[str, Any]
) -> dict[str, Any]:
    """What an artifact says of itself: what made it, and what came of it.

    parents: {role: manifest}. The sums of their weights tell a parent that is made
    again from the one that was used; their licences bind what comes of them.
    """
    inherited = [parent.get("licences", ()) for parent in parents.values()]
    return {
        "schema": manifests.SCHEMA,
        "key": one.key,
        "name": one.name,
        "kind": one.kind,
        "spec": nested.plain(one.spec),
        "parents": one.parent_keys,
        "versions": one.versions,
        "packages": stores.packages(),
        "code": stores.code(),
        "created": stores.now(),
        "parent_weights": {role: p.get("weights") for role, p in parents.items()},
        **facts,
        "licences": licences.merge(facts.get("licences", ()), *inherited),
    }
