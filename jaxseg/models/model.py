"""A model is a backbone and its heads: trees `backbone/...` and `heads_<name>/...`."""

from collections.abc import Collection, Mapping
from typing import Any

import flax
import flax.linen as nn
import jax
from jaxtyping import Array, Float

from jaxseg.core import binding, errors, lookup, trees, types
from jaxseg.models import initial, ops

BACKBONES = "jaxseg.models.backbones"
HEADS = "jaxseg.models.heads"
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
        head: str | None = None,
        **inputs: Any,
    ) -> Any:
        """Output of `head`; of the only one where there is no choice.

        inputs: what else a backbone takes, such as the mask of a ViT.
        """
        padded = ops.pad_to_multiple(image, self.backbone.multiple)
        maps = self.backbone(padded, train=train, **inputs)
        if self.is_initializing():  # all heads get parameters
            for module in self.heads.values():
                module(maps, padded.shape[1:3], train=train)
        output = self._head(head)(maps, padded.shape[1:3], train=train)
        return _crop(output, padded.shape, image.shape)

    def features(
        self, image: Float[Array, "b h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "..."], ...]:
        """The backbone's maps, shallow to deep: `apply(..., method="features")`."""
        padded = ops.pad_to_multiple(image, self.backbone.multiple)
        maps = self.backbone(padded, train=train)
        if getattr(self.backbone, "class_map", False):  # for classifiers only
            maps = maps[:-1]
        return tuple(_crop(x, padded.shape, image.shape) for x in maps)

    def _head(self, name: str | None) -> nn.Module:
        if name is None and len(self.heads) != 1 and not self.is_initializing():
            raise ValueError(f"which head? This model has {', '.join(self.heads)}")
        return lookup.pick(self.heads, name or next(iter(self.heads)), kind="head")


def _crop(output: Any, padded: tuple[int, ...], image: tuple[int, ...]) -> Any:
    """Cut what padding added from every [B, h, w, K] array of a head's output."""
    if padded == image:
        return output

    def cut(x):
        if x.ndim != 4:
            return x
        strides = [p // n for p, n in zip(padded[1:3], x.shape[1:3])]
        height, width = (-(-n // s) for n, s in zip(image[1:3], strides))
        return x[:, :height, :width]

    return jax.tree.map(cut, output)


def build_model(
    section: Mapping[str, Any], *, head_outputs: Mapping[str, int]
) -> Model:
    """Model of a config section {"backbone": {...}, "head": {...}, "dtype": ...}.

    `head_outputs` names the heads (one per task) and their numbers of outputs; the one
    head section serves them all. "dtype" is that of computations; parameters, batch
    statistics and outputs stay float32.

    >>> section = {"backbone": {"name": "unet", "variant": "tiny"}}
    >>> section["head"] = {"name": "linear"}
    >>> model = build_model(section, head_outputs={"segmentation": 3})
    >>> sorted(init(model, (64, 64, 3), seed=0)["params"])
    ['backbone', 'heads_segmentation']
    """
    section = {"dtype": "float32"} | dict(section)
    backbone, head, dtype = (section.pop(k) for k in ("backbone", "head", "dtype"))
    if section:
        raise lookup.unknown(
            next(iter(section)), ("backbone", "head", "dtype"), kind="model key"
        )
    _check_dtype(dtype)
    heads = {
        name: _build(HEADS, head, dtype, num_outputs=outputs)
        for name, outputs in head_outputs.items()
    }
    # Frozen, so that a model hashes and equal models share compiled programs.
    frozen = flax.core.FrozenDict(heads)
    return Model(backbone=_build(BACKBONES, backbone, dtype), heads=frozen)


def bind_model(section: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """A model section with all fields of its backbone and its head written in."""
    known = {"backbone": None, "head": None, "dtype": "float32"}
    unknown = [key for key in section if key not in known]
    if unknown:
        raise lookup.unknown(unknown[0], known, kind="key", where=where)
    bound = known | dict(section)
    _check_dtype(bound["dtype"], where)
    for part, package in (("backbone", BACKBONES), ("head", HEADS)):
        place = f"{where}/{part}"
        with errors.located(place):
            build = lookup.load(package, binding.name_of(bound[part], place)).build
        given = {"dtype": "float32", "num_outputs": 1}
        bound[part] = binding.bind(
            build, section=bound[part], where=place, given=given, named=True
        )
        _check_numbers(bound[part], place)
    return bound


def _check_numbers(section: Mapping[str, Any], where: str) -> None:
    """UserError on a width, number of blocks or share outside what networks allow."""
    for field, value in section.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            low, high = (0, 0.999) if type(one) is float else (1, LARGEST)
            if type(one) in (int, float) and not low <= one <= high:
                raise errors.UserError(
                    f"{where}/{field}: found {value}, allowed: {low} to {high}"
                )


def unlike(
    part: str,
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    image_shape: tuple[int, ...],
    allow: Collection[str] = (),
) -> list[str]:
    """Fields of "backbone" or "head", of one name in two bound model sections, in which
    they differ although the weights of one fit the other: the same weights compute
    another function.

    Fields that change a shape are left out, since a comparison of leaves shows them;
    so are those in `allow`.
    """
    own, other = here[part], there[part]
    package = {"backbone": BACKBONES, "head": HEADS}[part]
    free = (*FREE, *getattr(lookup.load(package, own["name"]), "FREE", ()))
    differing = [
        field
        for field in sorted(own.keys() & other.keys())
        if field not in (*free, *allow) and _plain(own[field]) != _plain(other[field])
    ]

    def shapes(**changes: Any) -> dict[str, Any]:
        section = dict(here) | {part: dict(own) | changes}
        model = build_model(section, head_outputs={"any": 1})
        module = model.backbone if part == "backbone" else model
        *size, channels = image_shape[-3:]  # padded as the model does
        size = [n + -n % model.backbone.multiple for n in size]
        return trees.flatten(initial.shapes(module, (*size, channels)))

    return [field for field in differing if shapes(**{field: other[field]}) == shapes()]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


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
