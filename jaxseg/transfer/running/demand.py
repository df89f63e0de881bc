"""Which stages are asked for: all of a plan, but for candidates of searches."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxseg.core import errors
from jaxseg.transfer import store as stores
from jaxseg.transfer.stage import Stage, kind


class Demand:
    """What the stages of a plan ask for, by what has ended in the store by now.

    It depends on nothing else, so all processes on a workdir agree. What is asked for
    once stays so as more stages end.
    """

    def __init__(self, stages: Iterable[Stage], store: stores.Store):
        self.store = store
        self.manifests: dict[str, Mapping[str, Any]] = {}
        self.children: dict[str, list[tuple[Stage, str]]] = collections.defaultdict(
            list
        )  # {stage: [(child, its role there)]}
        for one in stages:
            for role, name in one.parent_names.items():
                self.children[name].append((one, role))

    def asked(self, one: Stage) -> Sequence[str]:
        """The roles of the parents that a stage asks for."""
        keys = one.parent_keys
        return kind(one.kind).asks(one, lambda role: self._ended(keys[role]))

    def wanted(self, one: Stage) -> bool:
        """Whether a stage is to be made: it has no children, or one asks for it."""
        children = self.children.get(one.name, ())
        return not children or any(
            role in self.asked(child) and self.wanted(child) for child, role in children
        )

    def never(self, one: Stage) -> bool:
        """Whether nothing asks for a stage, and nothing will."""
        children = self.children.get(one.name, ())
        return bool(children) and all(
            self.never(child) or (role not in self.asked(child) and self._over(child))
            for child, role in children
        )

    def _over(self, one: Stage) -> bool:
        """Whether all that a stage asks for has ended, so that it asks for no more."""
        keys = one.parent_keys
        return all(self._ended(keys[role]) is not None for role in self.asked(one))

    def _ended(self, key: str) -> Mapping[str, Any] | None:
        """The manifest of a stage; {} if it diverged; None if it has not ended.

        A damaged one has not: a run that is asked for it says what is wrong.
        """
        if key not in self.manifests:
            if not self.store.done(key):
                return None if self.store.diverged(key) is None else {}
            try:
                self.manifests[key] = self.store.manifest(key)
            except errors.Damaged:
                return None
        return self.manifests[key]
