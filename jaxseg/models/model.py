"""A model is a backbone and its heads: trees `backbone/...` and `heads_<name>/...`."""

from collections.abc import Collection, Mapping
from typing import Any

import flax
import flax.linen as nn
import jax
from jaxtyping import Array, Float

from jaxseg.core import binding, errors, lookup, trees, types
from jaxseg.models import enlarged, initial, ops

BACKBONES = "jaxseg.models.backbones"
HEADS = "jaxseg.models.heads"
KEYS = ("backbone", "head", "heads", "dtype")  # of a model section
DTYPES = ("bfloat16", "float32")
LARGEST = 10_000  # width or number of blocks
# Fields that may differ where weights are copied: they are of training alone. A
# backbone or head adds its own as FREE.
FREE = ("variant", "remat", "dropout")


class Model(nn.Module):
    """Normalized image [B, H, W, C] of any size -> the output of one of the heads.

    The image is padded with zeros at the right and the bottom up to the backbone's
    `multiple`; maps and spatial outputs are cropped to ceil(size / their stride). In
    evaluation that is harmless; in training the zeros would enter batch statistics, so
    a plan refuses such crops.
    """

    backbone: nn.Module
    heads: Mapping[str, nn.Module]

    def __call__(
        self,
        image: Float[Array, "b h w c"],
        *,
        train: bool,
        head: str | tuple[str, ...] | None = None,
        **inputs: Any,
    ) -> Any:
        """Output of `head`, an array or what else it returns (a dict, a tuple).

        head: None: the only one there is; several names: {name: output}, the backbone
        runs once. inputs: what else a backbone takes, such as the mask of a ViT.
        """
        padded = ops.pad_to_multiple(image, self.backbone.multiple)
        maps = self.backbone(padded, train=train, **inputs)
        if self.is_initializing():  # all heads get parameters
            head = tuple(self.heads)

        def output(name: str | None) -> Any:
            made = self._head(name)(maps, padded.shape[1:3], train=train)
            return crop(made, padded.shape, image.shape)

        if isinstance(head, tuple):
            return {name: output(name) for name in head}
        return output(head)

    def features(
        self, image: Float[Array, "b h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "..."], ...]:
        """The backbone's maps, shallow to deep: `apply(..., method="features")`."""
        padded = ops.pad_to_multiple(image, self.backbone.multiple)
        maps = self.backbone(padded, train=train)
        if getattr(self.backbone, "class_map", False):  # for classifiers only
            maps = maps[:-1]
        return tuple(crop(x, padded.shape, image.shape) for x in maps)

    def from_maps(
        self,
        maps: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        head: str | None = None,
    ) -> Any:
        """Output of `head` for the maps that `features` gives, in evaluation:
        `apply(..., method="from_maps")`.

        size: (height, width) of the image, multiples of the backbone's `multiple`, for
        which `features` cuts nothing. Without the map of a class token.
        """
        return self._head(head)(maps, size, train=False)

    def _head(self, name: str | None) -> nn.Module:
        if name is None and len(self.heads) != 1:
            raise ValueError(f"which head? This model has {', '.join(self.heads)}")
        return lookup.pick(self.heads, name or next(iter(self.heads)), kind="head")


def crop(output: Any, padded: tuple[int, ...], image: tuple[int, ...]) -> Any:
    """Cut what padding added from every [B, h, w, K] array of a head's output."""
    if padded == image:
        return output

    def cut(x):
        if isinstance(x, enlarged.Enlarged):
            return x.cut(image[1:3])
        if x.ndim != 4:
            return x
        strides = [p // n for p, n in zip(padded[1:3], x.shape[1:3])]
        height, width = (-(-n // s) for n, s in zip(image[1:3], strides))
        return x[:, :height, :width]

    small = lambda x: isinstance(x, enlarged.Enlarged)
    return jax.tree.map(cut, output, is_leaf=small)


def build_model(
    section: Mapping[str, Any], *, head_outputs: Mapping[str, int]
) -> Model:
    """Model of a config section {"backbone": {...}, "head": {...}, "dtype": ...}.

    `head_outputs` names the heads and their numbers of outputs. The section "head"
    serves them all; in its place "heads" has one for each, {name: section}. "dtype" is
    that of computations; parameters, batch statistics and outputs stay float32.

    >>> section = {"backbone": {"name": "unet", "variant": "tiny"}}
    >>> section["head"] = {"name": "linear"}
    >>> model = build_model(section, head_outputs={"segmentation": 3})
    >>> sorted(init(model, (64, 64, 3), seed=0)["params"])
    ['backbone', 'heads_segmentation']
    """
    dtype = section.get("dtype", "float32")
    heads = {
        name: _build(HEADS, own, dtype, num_outputs=head_outputs[name])
        for name, own in _sections_of_heads(section, head_outputs).items()
    }
    # Frozen, so that a model hashes and equal models share compiled programs.
    frozen = flax.core.FrozenDict(heads)
    return Model(backbone=build_backbone(section), heads=frozen)


def build_backbone(section: Mapping[str, Any]) -> nn.Module:
    """The backbone of a model section."""
    _check_keys(section, "model key")
    dtype = section.get("dtype", "float32")
    _check_dtype(dtype)
    return _build(BACKBONES, section["backbone"], dtype)


def bind_model(section: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """A model section with all fields of its backbone and its heads written in.

    It keeps the form it has, one `head` for all or `heads` by name.
    """
    _check_keys(section, "key", where)
    dtype = section.get("dtype", "float32")
    _check_dtype(dtype, where)
    backbone = _bound(BACKBONES, section.get("backbone"), f"{where}/backbone")
    if "heads" not in section:
        head = _bound(HEADS, section.get("head"), f"{where}/head")
        return {"backbone": backbone, "head": head, "dtype": dtype}
    heads = section["heads"]
    if not isinstance(heads, Mapping) or not heads or "head" in section:
        both = ", and head as well" if "head" in section else ""
        raise errors.UserError(
            f"{where}/heads: found {heads!r}{both}; allowed: {{name: section}} of each "
            "head, or `head` alone for all of them"
        )
    heads = {n: _bound(HEADS, own, f"{where}/heads/{n}") for n, own in heads.items()}
    return {"backbone": backbone, "heads": heads, "dtype": dtype}


def _bound(package: str, section: Any, where: str) -> dict[str, Any]:
    """The section of a backbone or a head with all fields."""
    with errors.located(where):
        build = lookup.load(package, binding.name_of(section, where)).build
    given = {"dtype": "float32", "num_outputs": 1}
    bound = binding.bind(build, section=section, where=where, given=given, named=True)
    _check_numbers(bound, where)
    return bound


def head_sections(section: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of all heads, in the order of the section; one where `head` serves all."""
    return list(section["heads"].values()) if "heads" in section else [section["head"]]


def with_heads(section: Mapping[str, Any], names: Collection[str]) -> Mapping[str, Any]:
    """A model section without the sections of other heads."""
    if "heads" not in section:
        return section
    heads = {name: own for name, own in section["heads"].items() if name in names}
    return {**section, "heads": heads}


def section_of(section: Mapping[str, Any], top: str) -> Mapping[str, Any]:
    """Of a model section the part whose parameters lie below `top`.

    top: the first part of a path, "backbone" or "heads_<name>".

    >>> model = {"backbone": {"name": "unet"}, "heads": {"depth": {"name": "linear"}}}
    >>> section_of(model, "heads_depth")
    {'name': 'linear'}
    """
    if top == "backbone" or "heads" not in section:
        return section["backbone" if top == "backbone" else "head"]
    return lookup.pick(section["heads"], top.removeprefix("heads_"), kind="head")


def _sections_of_heads(
    section: Mapping[str, Any], asked: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """{name: section} of the heads that are asked for; UserError unless all and no
    others have one.
    """
    if "heads" not in section:
        return dict.fromkeys(asked, section.get("head"))
    heads = section["heads"]
    if set(heads) != set(asked):
        raise errors.UserError(
            f"model/heads: found {', '.join(heads)}; the task asks for "
            f"{', '.join(asked)}. Fix: a section for each of these, or `head` for all"
        )
    return {name: heads[name] for name in asked}


def _check_numbers(section: Mapping[str, Any], where: str) -> None:
    """UserError on a width, number of blocks or share outside what networks allow."""
    for field, value in section.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            low, high = (0, 0.999) if type(one) is float else (1, LARGEST)
            if type(one) in (int, float) and not low <= one <= high:
                raise errors.UserError(
                    f"{where}/{field}: found {value}, allowed: {low} to {high}"
                )


def blocks_of(head: str) -> str:
    """The name of the head whose blocks a head is made of, by default its own."""
    return getattr(lookup.load(HEADS, head), "BLOCKS_OF", head)


def unlike(
    tops: tuple[str, str],
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    image_shape: tuple[int, ...],
    allow: Collection[str] = (),
) -> list[str]:
    """Fields in which the backbones or two heads with the same blocks in two bound
    model sections differ although the weights of one fit the other: the same weights
    compute another function.

    tops: where they lie `here` and `there`, see `section_of`. Fields that change a
    shape are left out, since a comparison of leaves shows them; so are those in
    `allow`.
    """
    own, other = section_of(here, tops[0]), section_of(there, tops[1])
    of_backbone = tops[0] == "backbone"
    package = BACKBONES if of_backbone else HEADS
    free = ("name", *FREE, *getattr(lookup.load(package, own["name"]), "FREE", ()))
    differing = [
        field
        for field in sorted(own.keys() & other.keys())
        if field not in (*free, *allow) and _plain(own[field]) != _plain(other[field])
    ]

    def shapes(**changes: Any) -> dict[str, Any]:
        section = {key: here[key] for key in ("backbone", "dtype")}
        section["backbone" if of_backbone else "head"] = dict(own) | changes
        backbone = build_backbone(section)
        module = backbone
        if not of_backbone:
            module = build_model(section, head_outputs={"any": 1})
        *size, channels = image_shape[-3:]  # padded as the model does
        size = [n + -n % backbone.multiple for n in size]
        return trees.flatten(initial.shapes(module, (*size, channels)))

    return [field for field in differing if shapes(**{field: other[field]}) == shapes()]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check_keys(section: Mapping[str, Any], kind: str, where: str = "") -> None:
    for key in section:
        if key not in KEYS:
            raise lookup.unknown(key, KEYS, kind=kind, where=where)


def _check_dtype(dtype: Any, where: str = "") -> None:
    if dtype not in DTYPES:
        raise lookup.unknown(dtype, DTYPES, kind="dtype", where=where)


def _build(package: str, section: Mapping[str, Any], dtype: str, **fields) -> nn.Module:
    arguments = {"dtype": dtype} | dict(section) | fields
    arguments = {  # JSON's lists do not hash
        key: tuple(x) if isinstance(x, list) else x for key, x in arguments.items()
    }
    return lookup.load(package, arguments.pop("name")).build(**arguments)


def init(model: Model, image_shape: tuple[int, ...], seed: int) -> types.Variables:
    """Fresh variables for images of shape [..., H, W, C].

    Each leaf depends on `seed` and on its own path alone, so a backbone starts alike
    whatever the heads are. Shapes are computed once per architecture.

    >>> section = {"backbone": {"name": "unet", "variant": "tiny"}}
    >>> section["head"] = {"name": "linear"}
    >>> model = build_model(section, head_outputs={"segmentation": 3})
    >>> trees.num_parameters(init(model, (64, 64, 3), seed=0)["params"])
    2411
    """
    return initial.variables(model, image_shape, seed)
