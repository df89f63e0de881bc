"""Measuring trained models: an analysis of `jaxseg.analysis` in, rows out."""

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Annotated, Any

from jaxseg.core import arrays, binding, errors, jsonl, lookup, nested
from jaxseg.data import spec as data_spec
from jaxseg.data.spec import DataSpec
from jaxseg.transfer import stage as stages

ANALYSES = "jaxseg.analysis"


def _bind_analysis(section: Any, where: str) -> binding.Spec:
    analysis = lookup.load(ANALYSES, binding.name_of(section, where))
    return binding.bind(analysis.Spec, section=section, where=where)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureSpec(binding.Spec):
    """analysis: {name, ...}, the name of a file in `jaxseg.analysis` and its Spec."""

    analysis: Annotated[binding.Spec, binding.By(_bind_analysis)]

    @property
    def module(self) -> ModuleType:
        """The analysis."""
        return lookup.load(ANALYSES, self.analysis.name)


class Measure(stages.Kind):
    """Runs one analysis on its parents, whose roles it names."""

    Spec = MeasureSpec
    VERSION = 2

    def resolve(self, spec: MeasureSpec, where: str) -> MeasureSpec:
        """Data sections identified; UserError on images that a set does not have."""

        def identified(data: DataSpec, place: str) -> DataSpec:
            return data.identified(data.facts(), place)

        return nested.mapped(spec, DataSpec, identified, where)

    def check_parents(
        self, spec: MeasureSpec, parents: Mapping[str, stages.Stage], where: str
    ) -> None:
        """UserError unless there are exactly those that the analysis names; where its
        ROLES are None, any two or more.
        """
        roles, given = spec.module.ROLES, ", ".join(parents) or "none"
        models = _models(spec, parents)
        if roles is None and len(models) < 2:
            raise errors.UserError(
                f"{where}/parents: found {given}; {spec.analysis.name} compares two or "
                "more. Fix: parents={role: stage, ...}"
            )
        if roles is not None and set(models) != set(roles):
            raise lookup.unknown(given, roles, kind="parent", where=where)

    def uses(self, stage: stages.Stage) -> list[stages.Stage]:
        """The models, where other parents are data."""
        return list(_models(stage.spec, stage.parents).values())

    def reads(self, spec: MeasureSpec) -> dict[str, DataSpec]:
        """What the analysis reads; by default its fields that are data sections."""
        if hasattr(spec.module, "reads"):
            return spec.module.reads(spec.analysis)
        fields = dataclasses.fields(spec.analysis)
        values = {field.name: getattr(spec.analysis, field.name) for field in fields}
        return {n: value for n, value in values.items() if isinstance(value, DataSpec)}

    def versions(self, spec: MeasureSpec) -> dict[str, int]:
        """That of the analysis, where it has one."""
        version = getattr(spec.module, "VERSION", None)
        return {} if version is None else {spec.analysis.name: version}

    def describe(
        self, spec: MeasureSpec, parents: Mapping[str, stages.Stage]
    ) -> dict[str, int]:
        """The images to look at."""
        return {"examples": sum(data.count or 0 for data in self.reads(spec).values())}

    def run(self, context: stages.StageContext) -> dict[str, Any]:
        """rows.jsonl, as the analysis returns them; arrays.npz where it has arrays."""
        # They load grain: a plan does without.
        from jaxseg.analysis import tools
        from jaxseg.transfer import artifact

        spec = context.stage.spec
        folders = _models(spec, context.parents)
        models = {role: artifact.load(path) for role, path in folders.items()}
        sources, described = {}, {}
        sections = self.reads(spec)
        for number, (name, data) in enumerate(sections.items()):
            context.progress(number, len(sections), data.called)
            sources[name] = data.open()
            described[name] = data.described(sources[name])
        given = tools.Tools(sources, context.progress)
        found = spec.module.run(models, spec.analysis, given)
        if isinstance(found, tools.Found):
            arrays.write(context.folder / arrays.FILE, found.arrays)
            found = found.rows
        jsonl.write(context.folder / "rows.jsonl", found)
        return {"metrics": [], "data": described}


KIND = Measure()


def _models(spec: MeasureSpec, parents: Mapping[str, Any]) -> dict[str, Any]:
    """The parents that are models to measure, not those that only data are of."""
    data = data_spec.roles(KIND.reads(spec)) - set(spec.module.ROLES or ())
    return {role: parent for role, parent in parents.items() if role not in data}
