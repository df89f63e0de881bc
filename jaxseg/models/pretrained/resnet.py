"""ResNet under the names that timm and torchvision share."""

from jaxseg.models.pretrained import architecture

BACKBONE = [
    (r"backbone/stem/conv", r"conv1"),
    (r"backbone/stem/norm", r"bn1"),
    (r"backbone/stage(\d)/block(\d+)/conv(\d)/conv", r"layer\1.\2.conv\3"),
    (r"backbone/stage(\d)/block(\d+)/conv(\d)/norm", r"layer\1.\2.bn\3"),
    (r"backbone/stage(\d)/block(\d+)/shortcut/conv", r"layer\1.\2.downsample.0"),
    (r"backbone/stage(\d)/block(\d+)/shortcut/norm", r"layer\1.\2.downsample.1"),
]
STEM = "backbone/stem/conv/kernel"
HEAD = [(r"heads_classification/classifier", "fc")]


def _arch(variant: str) -> architecture.Architecture:
    return architecture.Architecture(
        model={
            "backbone": {"name": "resnet", "variant": variant},
            "head": {"name": "pooled"},
        },
        namings={"timm, torchvision": BACKBONE + HEAD},
        stem=STEM,
        mark="layer4.0.conv3.weight",
    )


ARCHITECTURES = {f"resnet{variant}": _arch(variant) for variant in ("50", "101")}
