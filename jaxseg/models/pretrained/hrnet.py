"""HRNetV2 under timm's names, which are those of the authors' ImageNet weights.

The authors' segmentation code has the same names with bilinear fusion and `last_layer`
for a head: of such a file the backbone is taken, with bilinear fusion.
"""

from jaxseg.models.pretrained import architecture


def _pair(path: str, name: str) -> list[tuple[str, str]]:
    """Rules for a convolution and the norm after it, numbered 0 and 1."""
    return [(f"{path}/conv", f"{name}.0"), (f"{path}/norm", f"{name}.1")]


def _block(path: str, name: str) -> list[tuple[str, str]]:
    """Rules for the layers of residual blocks."""
    layer = path.count("(") + 1  # the group that holds the number of a convolution
    return [
        (rf"{path}/conv(\d)/conv", rf"{name}.conv\{layer}"),
        (rf"{path}/conv(\d)/norm", rf"{name}.bn\{layer}"),
        *_pair(f"{path}/shortcut", f"{name}.downsample"),
    ]


BACKBONE = [
    (r"backbone/stem/conv(\d)/conv", r"conv\1"),
    (r"backbone/stem/conv(\d)/norm", r"bn\1"),
    *_block(r"backbone/stage1/block(\d+)", r"layer1.\1"),
    # A new branch is nested one deeper than those that were there.
    *_pair(r"backbone/transition(\d)/branch\1", r"transition\1.\1.0"),
    *_pair(r"backbone/transition(\d)/branch(\d)", r"transition\1.\2"),
    *_block(
        r"backbone/stage(\d)_module(\d+)/branch(\d)/block(\d+)",
        r"stage\1.\2.branches.\3.\4",
    ),
    *_pair(
        r"backbone/stage(\d)_module(\d+)/fuse/from(\d)_to(\d)",
        r"stage\1.\2.fuse_layers.\4.\3",
    ),
    *_pair(
        r"backbone/stage(\d)_module(\d+)/fuse/from(\d)_to(\d)_down(\d)",
        r"stage\1.\2.fuse_layers.\4.\3.\5",
    ),
]
HEAD = [
    *_block(r"heads_classification/widen(\d)", r"incre_modules.\1.0"),
    *_pair(r"heads_classification/down(\d)", r"downsamp_modules.\1"),
    *_pair(r"heads_classification/last", "final_layer"),
    (r"heads_classification/classifier", "classifier"),
]


def _arch(variant: str) -> architecture.Architecture:
    return architecture.Architecture(
        model={
            "backbone": {"name": "hrnet", "variant": variant},
            "head": {"name": "classifier"},
        },
        namings={"timm": BACKBONE + HEAD, "authors' segmentation": BACKBONE},
        overrides={"authors' segmentation": {"fusion": "bilinear"}},
        left={"authors' segmentation": r"last_layer\..*|(ocr|aux|cls|conv3x3_ocr).*"},
        stem="backbone/stem/conv1/conv/kernel",
        mark="stage4.0.branches.3.0.conv1.weight",
    )


ARCHITECTURES = {
    f"hrnet_{variant}": _arch(variant) for variant in ("w18_small", "w18", "w32", "w48")
}
