r"""Every model: parameters, FLOPs at a size, stride and width of each map.

python -m jaxseg.models
python -m jaxseg.models resnet vit/b16 --size=512x512
python -m jaxseg.models --heads --backbone=hrnet/w48 --outputs=20
"""

import argparse
import functools
import re
import sys
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxseg.core import command, errors, lookup, trees
from jaxseg.models import model as models
from jaxseg.models import shapes

Cost = tuple[int, int, Any]  # parameters, FLOPs, shapes of what comes out


@command.entry
def main(argv: Sequence[str]) -> None:
    """Exit code: 2 on a name or size that does not exist."""
    arguments = _parser().parse_args(argv)
    size = _size(arguments.size)
    if arguments.heads:
        _refuse(arguments.names, "NAME", "without --heads; with it --backbone=NAME")
        backbone, outputs = arguments.backbone, arguments.outputs
        list_heads(backbone or "hrnet/w48", size, outputs or 20)
    else:
        _refuse(arguments.backbone, "--backbone", "with --heads; without it NAME")
        _refuse(arguments.outputs, "--outputs", "with --heads")
        list_backbones(arguments.names, size)


def _refuse(given: Any, name: str, allowed: str) -> None:
    """UserError where an option is given that the others leave without a meaning."""
    if given:
        raise errors.UserError(f"{name}: found {given}, allowed only {allowed}")


def list_backbones(names: Sequence[str], size: tuple[int, int]) -> None:
    """A line per variant, printed as it is counted: no weights are made."""
    row = "{:22} {:>12} {:>9}  {}".format
    print(row("backbone", "parameters", "GFLOPs", "maps: stride x channels"))
    for name, variant in chosen(names):
        network = _build(name, variant, "linear", 1)
        parameters, flops, maps = cost_of_backbone(network, size)
        shown = "  ".join(f"{_stride(size, m.shape)} x {m.shape[-1]}" for m in maps)
        print(row(f"{name}/{variant}", f"{parameters:,}", f"{flops / 1e9:.2f}", shown))
    print(f"GFLOPs of one image of {size[0]}x{size[1]}; a multiply-add counts twice.")


def list_heads(backbone: str, size: tuple[int, int], outputs: int) -> None:
    """A line per head on one backbone."""
    variants = chosen([backbone])
    if len(variants) != 1:
        names = ", ".join(f"{name}/{variant}" for name, variant in variants)
        raise errors.UserError(
            f"--backbone={backbone}: write NAME/VARIANT, one of {names}"
        )
    ((name, variant),) = variants
    row = "{:16} {:>12} {:>9}  {}".format
    print(f"heads on {name}/{variant} with {outputs} outputs, {size[0]}x{size[1]}")
    print(row("head", "parameters", "GFLOPs", "output"))
    for head in lookup.names(models.HEADS):
        network = _build(name, variant, head, outputs)
        parameters, flops, output = cost_of_head(network, size)
        sizes = jax.tree.map(lambda x: "x".join(map(str, x.shape[1:])), output)
        shown = sizes if isinstance(sizes, str) else _joined(sizes)
        print(row(head, f"{parameters:,}", f"{flops / 1e9:.2f}", shown))


def chosen(names: Sequence[str]) -> list[tuple[str, str]]:
    """(backbone, variant) of "resnet" or "resnet/50"; all without names."""
    pairs = []
    for given in names or lookup.names(models.BACKBONES):
        name, _, variant = given.partition("/")
        variants = lookup.load(models.BACKBONES, name).VARIANTS
        if variant:
            lookup.pick(variants, variant, kind=f"{name} variant")
        pairs += [(name, v) for v in ([variant] if variant else variants)]
    return pairs


def cost_of_backbone(network: models.Model, size: tuple[int, int]) -> Cost:
    """Parameters, FLOPs, shapes of the maps."""
    variables = shapes.variables(network, (*size, 3))
    image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    call = functools.partial(network.apply, train=False, method="features")
    maps, flops = shapes.with_flops(call, variables, image)
    return trees.num_parameters(variables["params"]["backbone"]), flops, maps


def cost_of_head(network: models.Model, size: tuple[int, int]) -> Cost:
    """Parameters and FLOPs of the head alone, shapes of what the model returns."""
    variables = shapes.variables(network, (*size, 3))
    ((name, head),) = network.heads.items()
    padded = tuple(n + -n % network.backbone.multiple for n in size)

    def call(variables: Any, maps: Any) -> Any:
        return head.apply(variables, maps, padded, train=False)

    top = f"heads_{name}"
    own = {kind: tree[top] for kind, tree in variables.items() if top in tree}
    maps = shapes.maps(network.backbone, (*size, 3))
    _, flops = shapes.with_flops(call, own, maps)
    output = shapes.outputs(network, (*size, 3))[name]
    return trees.num_parameters(own["params"]), flops, output


def _build(name: str, variant: str, head: str, outputs: int) -> models.Model:
    backbone = {"name": name, "variant": variant}
    section = {"backbone": backbone, "head": {"name": head}}
    return models.build_model(section, head_outputs={"head": outputs})


def _stride(size: tuple[int, int], shape: tuple[int, ...]) -> int:
    return 2 ** round(jnp.log2(size[0] / shape[1]).item())


def _joined(shapes: dict[str, str]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _size(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", text):
        raise errors.UserError(f"--size={text}: write HEIGHTxWIDTH, such as 224x224")
    height, width = text.split("x")
    return int(height), int(width)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.models",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME[/VARIANT]", help="all if none"
    )
    parser.add_argument("--size", default="224x224", metavar="HxW")
    parser.add_argument("--heads", action="store_true", help="heads on one backbone")
    parser.add_argument(
        "--backbone", metavar="NAME/VARIANT", help="with --heads; default hrnet/w48"
    )
    parser.add_argument(
        "--outputs", type=command.count, help="of the heads; default 20"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
