"""A stage: one node of work, keyed by the content of its spec and of its parents."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxseg.core import binding, errors, hashing, lookup, nested
from jaxseg.core import manifest as manifests
from jaxseg.core.types import Variables
from jaxseg.data.published import Published
from jaxseg.data.spec import DataSpec, roles

KINDS = "jaxseg.transfer.kinds"


@runtime_checkable
class Weights(Protocol):
    """What decides the shapes of a stage's weights; equal ones have equal shapes."""

    def __hash__(self) -> int: ...

    def shapes(self) -> Variables:
        """Of all variables; none is computed or read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section(binding.Spec):
    """What every kind of stage takes beside its own keys.

    parents: {role: stage name}. columns: where the result stands in tables, a row of
    results for each.
    """

    kind: str
    parents: Mapping[str, str] | None = None
    columns: Sequence[Mapping[str, str | int | bool | None]] | None = None


OWN = tuple(field.name for field in dataclasses.fields(Section))


@dataclasses.dataclass(frozen=True)
class Bound:
    """The section of one stage with every default; names of parents are unchecked."""

    kind: str
    parents: Mapping[str, str]
    columns: Sequence[Mapping[str, Any]]
    spec: binding.Spec

    def plain(self) -> dict[str, Any]:
        """As a config writes it."""
        own = {"kind": self.kind, "parents": self.parents, "columns": self.columns}
        return nested.plain(own) | nested.plain(self.spec, without="resolved")


@dataclasses.dataclass(frozen=True)
class Stage:
    """What to make, from what. Kind, spec, parents' keys and versions enter `key`."""

    name: str
    kind: str
    spec: binding.Spec  # resolved: says everything, with all defaults
    parents: Mapping[str, "Stage"] = dataclasses.field(repr=False)  # by role
    columns: tuple[dict[str, Any], ...]  # where the result stands in tables
    versions: dict[str, int]
    key: str  # 64 hex digits

    @property
    def short(self) -> str:
        """The key as folders carry it."""
        return self.key[:20]

    @property
    def parent_names(self) -> dict[str, str]:
        """{role: stage name}."""
        return {role: parent.name for role, parent in self.parents.items()}

    @property
    def parent_keys(self) -> dict[str, str]:
        """{role: key}."""
        return {role: parent.key for role, parent in self.parents.items()}


@dataclasses.dataclass(frozen=True)
class StageContext:
    """What a stage is handed when it runs; `folder` becomes the artifact, `scratch` is
    deleted.

    progress: (done, of, text), shown while it runs. note: a line that stays, of what
    the stage does and its section does not say.
    lost: {role: reason} of parents that diverged, for a kind that does without some.
    chosen: {evaluation: what its protocol adds} where an earlier choice used it.
    """

    stage: Stage
    parents: Mapping[str, Path]  # {role: artifact folder} of those it asks for
    folder: Path
    scratch: Path
    lost: Mapping[str, str] = dataclasses.field(default_factory=dict)
    chosen: Mapping[str, str] = dataclasses.field(default_factory=dict)
    progress: Callable[[int, int, str], None] = lambda done, of, text: None
    note: Callable[[str], None] = lambda text: None
    interrupted: Callable[[], bool] = lambda: False


class Kind:
    """One kind of stage. A file in `transfer/kinds/` defines a subclass, and an
    instance of it as KIND.
    """

    Spec: ClassVar[type[binding.Spec]]
    VERSION: ClassVar[int]  # goes up when the same spec would give another result
    DOES_WITHOUT: ClassVar[bool] = False  # some of its parents may have diverged
    TOGETHER: ClassVar[bool] = False  # all processes run it; else process 0 alone

    def bind(self, section: Mapping[str, Any], where: str) -> Any:
        """The section as a Spec, with every default."""
        return binding.bind(self.Spec, section=section, where=where)

    def resolve(self, spec: Any, where: str) -> Any:
        """What the data decide written in; UserError on what cannot work."""
        return spec

    def key_parts(self, spec: Any) -> Any:
        """What of a resolved spec decides the result, as plain data."""
        return nested.plain(spec, without="local")

    def check_parents(
        self, spec: Any, parents: Mapping[str, Stage], where: str
    ) -> None:
        """UserError where these parents do not serve."""
        if parents:
            names = ", ".join(parent.name for parent in parents.values())
            raise errors.UserError(
                f"{where}/parents: found {names}, allowed: none. Fix: drop parents; a "
                "stage of this kind uses no other"
            )

    def versions(self, spec: Any) -> dict[str, int]:
        """Further integers that make results of older code stale."""
        return {}

    def reads(self, spec: Any) -> dict[str, DataSpec]:
        """{name in the manifest: section} of all data that are read."""
        return {}

    def publishes(self, spec: Any) -> Published | None:
        """The data set that the artifact will hold; None: it holds none. Its `run`
        writes the files into `data.published.folder`, and then calls `finish`.
        """
        return None

    def weights(self, spec: Any) -> Weights | None:
        """The shapes of the weights; None where only the stage's run tells them."""
        return None

    def modelled(self, stage: Stage) -> Stage | None:
        """The stage whose section has the model of these weights, if a plan knows."""
        return None

    def selected(self, spec: Any) -> str:
        """The evaluation that chose these weights among candidates; "": none did."""
        return ""

    def asks(
        self, stage: Stage, ended: Callable[[str], Mapping[str, Any] | None]
    ) -> Sequence[str]:
        """The roles of the parents that are needed, in this sequence: all, or as a
        search finds them, which asks for one after another.

        ended: the manifest of the parent in a role, {} of one that diverged, None of
        one that has not ended.
        """
        return tuple(stage.parents)

    def training(self, stage: Stage) -> Stage | None:
        """The `train` stage whose weights these are, if this workdir trains them."""
        return None

    def uses(self, stage: Stage) -> Sequence[Stage]:
        """The stages whose weights its run reads."""
        return tuple(stage.parents.values())

    def lends(self, stage: Stage) -> Sequence[Stage]:
        """Parents of which one's weights may stand for its own."""
        return ()

    def origin(self, spec: Any) -> dict[str, Any] | None:
        """Data set, task, domain and images behind weights from elsewhere."""
        return None

    def describe(self, spec: Any, parents: Mapping[str, Stage]) -> dict[str, int]:
        """Costs for the plan: parameters, steps, examples, evaluated, bytes."""
        return {}

    def run(self, context: StageContext) -> dict[str, Any]:
        """Fills `context.folder`; returns what the manifest says of it."""
        raise NotImplementedError(type(self).__name__)


def kind(name: str) -> Kind:
    """The kind of that name; UserError where there is none."""
    return lookup.load(KINDS, name).KIND


def bind(name: str, section: Any) -> Bound:
    """The section of one stage with all defaults of its kind written in."""
    where = f"stages/{name}"
    if not isinstance(section, Mapping) or "kind" not in section:
        known = ", ".join(lookup.names(KINDS))
        raise errors.UserError(
            f"{where}: found {section!r}, allowed: a section with a 'kind' of {known}"
        )
    head = {key: value for key, value in section.items() if key in OWN}
    own = {key: value for key, value in section.items() if key not in OWN}
    with errors.located(where):
        head = binding.bind(Section, section=head, where=where)
        spec = kind(head.kind).bind(own, where)
    return Bound(head.kind, head.parents or {}, head.columns or (), spec)


def resolve(name: str, bound: Bound, parents: Mapping[str, Stage]) -> Stage:
    """The stage of a bound section; parents: {role: stage}."""
    where, own = f"stages/{name}", kind(bound.kind)
    with errors.located(where):
        spec = bound.spec
        if roles(own.reads(spec)):
            spec = _linked(spec, parents, where)
        spec = own.resolve(spec, where)
        own.check_parents(spec, parents, where)
        versions = {"kind": own.VERSION} | own.versions(spec)
        decides = {
            "schema": manifests.SCHEMA,
            "kind": bound.kind,
            "spec": own.key_parts(spec),
            "parents": {role: parent.key for role, parent in parents.items()},
            "versions": versions,
        }
        key = hashing.key(decides)
    columns = tuple(map(dict, bound.columns))
    return Stage(name, bound.kind, spec, parents, columns, versions, key)


def _linked(spec: Any, parents: Mapping[str, Stage], where: str) -> Any:
    """The spec with what parents publish, where its data are of a parent."""

    def link(data: DataSpec, place: str) -> DataSpec:
        if data.of is None:
            return data
        if data.name or data.root is not None:
            raise errors.UserError(
                f"{place}: found of={data.of!r} with name={data.name!r} and root="
                f"{data.root!r}; allowed is `of` alone, the parent has name and folder"
            )
        if data.of not in parents:
            kind_ = "parent role"
            raise lookup.unknown(data.of, parents, kind=kind_, where=f"{place}/of")
        parent = parents[data.of]
        found = kind(parent.kind).publishes(parent.spec)
        if found is None:
            raise errors.UserError(
                f"{place}/of: {parent.name} is a {parent.kind} stage and publishes no "
                "data set. Fix: a parent that does, or name='FILE/VARIANT'"
            )
        found = dataclasses.replace(found, stage=parent.name, key=parent.key)
        return dataclasses.replace(data, name=found.reader, published=found)

    return nested.mapped(spec, DataSpec, link, where)
