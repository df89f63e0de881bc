"""Copying parameter subtrees from a source to a target: strict, and with a receipt."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxseg.core import errors, lookup, trees
from jaxseg.core.types import Variables
from jaxseg.models import model as models
from jaxseg.transfer.spec import StartSpec

SHOWN = 20  # leaves that an error lists
FIX = (
    "Fix: same name and variant on both sides, or reinit=[...] with a regex for the "
    "target leaves that shall start fresh."
)


class TransplantError(errors.UserError):
    """Source and target do not fit; says where, and what would mend it."""


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What one transplant did; paths carry their collection, `params/backbone/...`."""

    take: dict[str, str]
    reinit: tuple[str, ...]
    origin: dict[str, str]  # {leaf of the target: leaf of the source it now equals}
    kept: tuple[str, ...]  # leaves of the target that keep their own
    left_behind: tuple[str, ...]  # leaves of the source that went nowhere
    copied_parameters: int  # scalars copied, of
    total_parameters: int  # scalars in the target, batch statistics not counted

    @property
    def copied(self) -> tuple[str, ...]:
        """Leaves of the target that now hold the source's values, sorted."""
        return tuple(sorted(self.origin))

    def summary(self) -> str:
        """One line for a log."""
        share = self.copied_parameters / max(self.total_parameters, 1)
        return (
            f"copied {len(self.copied)} leaves ({self.copied_parameters:,} parameters, "
            f"{share:.1%} of the model), kept {len(self.kept)} fresh, "
            f"left {len(self.left_behind)} behind"
        )


def transplant(
    target: Variables,
    source: Variables,
    take: Mapping[str, str],
    reinit: Sequence[str] = (),
) -> tuple[Variables, Receipt]:
    """Replace subtrees of `target` by subtrees of `source`, in every collection.

    take: {target_prefix: source_prefix}; batch statistics travel with their weights.
    reinit: regexes, matched in full, of target leaves that keep their fresh value.
    Returns new variables and a receipt: copied, kept, left behind. TransplantError on
    a missing, extra or reshaped leaf under a prefix, and on a rule matching nothing.

    >>> import numpy as np
    >>> kernel = {"kernel": np.zeros(2)}
    >>> target = {"params": {"backbone": kernel, "heads_depth": kernel}}
    >>> source = {"params": {"backbone": {"kernel": np.ones(2)}}}
    >>> variables, receipt = transplant(target, source, {"backbone": "backbone"})
    >>> variables["params"]["backbone"]["kernel"].tolist(), receipt.kept
    ([1.0, 1.0], ('params/heads_depth/kernel',))
    """
    new, old = trees.flatten(target), trees.flatten(source)
    fresh = _reinitialised(new, reinit)
    origin: dict[str, str] = {}  # {leaf of the target: leaf of the source}
    for to, frm in take.items():
        origin |= _pair(new, old, to, frm, fresh, already=origin)
    copied = {path: old[frm] for path, frm in origin.items()}
    left = sorted(set(old) - set(origin.values()))
    receipt = Receipt(
        take=dict(take),
        reinit=tuple(reinit),
        origin=origin,
        kept=tuple(sorted(set(new) - set(copied))),
        left_behind=tuple(left),
        copied_parameters=_count({path: new[path] for path in copied}),
        total_parameters=_count(new),
    )
    return trees.unflatten(new | copied), receipt


def check_apart(target: Variables, starts: Sequence[StartSpec]) -> None:
    """TransplantError where a later start would write over what an earlier one took.

    target: variables or their shapes.
    """
    new = trees.flatten(target)
    owner: dict[str, str] = {}  # {leaf of the target: whose it will be}
    for start in starts:
        role, fresh = start.parent, _reinitialised(new, start.reinit)
        for to, frm in start.take.items():
            rule = f"transplant {{{to} <- {frm}}} of {role!r}"
            leaves = set(_under(new, to, f"{rule}: the target").values()) - fresh
            twice = sorted(leaves & owner.keys())
            if twice:
                raise TransplantError(
                    f"{rule}: {twice[0]} is taken by an earlier rule as well, of "
                    f"{owner[twice[0]]!r}, and would be lost ({len(twice)} leaves). "
                    "Fix: prefixes that do not overlap, or reinit=[...] with a regex "
                    "for the leaves that one of them shall leave alone."
                )
            owner |= dict.fromkeys(leaves, role)


def check_names(
    take: Mapping[str, str], here: Mapping[str, Any], there: Mapping[str, Any]
) -> None:
    """TransplantError where model section `there` has another backbone or head than
    `here`: leaves that fit all the same would be those of another network.
    """
    for (to, frm), rule in _parts(take):
        part = "backbone" if to == "backbone" else "head"
        own = models.section_of(here, to)["name"]
        other = models.section_of(there, frm)["name"]
        alike = part == "head" and models.blocks_of(own) == models.blocks_of(other)
        if own != other and not alike:
            raise TransplantError(
                f"transplant {rule}: another {part}, its weights do not fit: {own!r} "
                f"here and {other!r} in the source. Fix: the same {part} on both sides."
            )


def check_function(
    take: Mapping[str, str],
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    image_shape: tuple[int, ...],
    allow: Sequence[str] = (),
) -> None:
    """TransplantError where weights of model section `there` fit `here`, but would
    compute something else there: other upsampling, other dilation of a head.

    allow: fields of the backbone or the head that may differ all the same.
    """
    parts = (here["backbone"], *models.head_sections(here))
    known = {field for part in parts for field in part} - {"name"}
    for field in allow:
        if field not in known:
            raise TransplantError(str(lookup.unknown(field, known, kind="allow")))
    for (to, frm), rule in _parts(take):
        part = "backbone" if to == "backbone" else "head"
        own, other = models.section_of(here, to), models.section_of(there, frm)
        for field in models.unlike((to, frm), here, there, image_shape, allow):
            raise TransplantError(
                f"transplant {rule}: the weights fit, but would compute something "
                f"else: {field} of the {part} is {own[field]!r} here and "
                f"{other[field]!r} in the source. Fix: the same {field}, or "
                f"allow=[{field!r}] in this start if that is meant."
            )


def _parts(take: Mapping[str, str]) -> list[tuple[tuple[str, str], str]]:
    """((top here, top there), first rule between these) of the rules between backbones
    and between heads.
    """
    rules: dict[tuple[str, str], str] = {}
    for to, frm in take.items():
        tops = to.split("/")[0], frm.split("/")[0]
        heads = all(top.startswith("heads_") for top in tops)
        if heads or tops == ("backbone", "backbone"):
            rules.setdefault(tops, f"{{{to} <- {frm}}}")
    return list(rules.items())


def _pair(
    new: Mapping[str, Any],
    old: Mapping[str, Any],
    to: str,
    frm: str,
    fresh: set[str],
    already: Mapping[str, str],
) -> dict[str, str]:
    """{target leaf: source leaf} under one rule; TransplantError unless all fit."""
    rule = f"transplant {{{to} <- {frm}}}"
    targets = _under(new, to, f"{rule}: the target")
    sources = _under(old, frm, f"{rule}: the source")
    twice = sorted(targets.values() & already.keys())
    if twice:
        raise TransplantError(f"{rule}: {twice[0]} is taken by an earlier rule as well")
    problems = _problems(new, old, targets, sources, fresh)
    if problems:
        count = len(problems)
        leaves = "1 leaf differs" if count == 1 else f"{count} leaves differ"
        rest = [f"... and {count - SHOWN} more"] if count > SHOWN else []
        lines = [f"{rule}: {leaves}.", *problems[:SHOWN], *rest, FIX]
        raise TransplantError("\n".join(lines))
    return {path: sources[rest] for rest, path in targets.items() if path not in fresh}


def _under(flat: Mapping[str, Any], prefix: str, side: str) -> dict[str, str]:
    """{collection and path below the prefix: full path}; an error if it is empty."""
    leaves = {}
    for path in flat:
        collection, inner = path.split("/", 1)  # prefixes never name the collection
        if trees.under(prefix, inner):
            leaves[f"{collection}:{inner[len(prefix) :]}"] = path
    if not leaves:
        tops = sorted({p.split("/")[1] for p in flat})
        hint = lookup.did_you_mean(prefix, tops)
        raise TransplantError(
            f"{side} has nothing under {prefix!r}. It has: {', '.join(tops)}.{hint}"
        )
    return leaves


def _problems(
    new: Mapping[str, Any],
    old: Mapping[str, Any],
    targets: Mapping[str, str],
    sources: Mapping[str, str],
    fresh: set[str],
) -> list[str]:
    """A line for each leaf that is missing, extra, or of another shape or dtype."""
    lines = []
    for rest, path in targets.items():
        if path in fresh:
            continue
        if rest not in sources:
            lines.append(f"- {path}: {tuple(new[path].shape)}, not in the source")
            continue
        a, b = new[path], old[sources[rest]]
        if tuple(a.shape) != tuple(b.shape):
            lines.append(f"- {path}: target {tuple(a.shape)}, source {tuple(b.shape)}")
        elif a.dtype != b.dtype:
            lines.append(f"- {path}: target {a.dtype}, source {b.dtype}")
    extra = sorted(sources[rest] for rest in sources.keys() - targets.keys())
    shapes = {path: tuple(old[path].shape) for path in extra}
    return lines + [f"+ {path}: {shapes[path]}, only in source" for path in extra]


def _reinitialised(flat: Mapping[str, Any], patterns: Sequence[str]) -> set[str]:
    """Target leaves, in every collection, whose path one of the patterns matches."""
    inner = {path: path.split("/", 1)[1] for path in flat}
    fresh: set[str] = set()
    for pattern in patterns:
        try:
            matched = set(trees.matching(pattern, inner.values(), what="reinit"))
        except errors.UserError as error:
            raise TransplantError(str(error)) from None
        fresh |= {path for path, name in inner.items() if name in matched}
    return fresh


def _count(flat: Mapping[str, Any]) -> int:
    return trees.num_parameters(
        [leaf for path, leaf in flat.items() if path.startswith("params/")]
    )
