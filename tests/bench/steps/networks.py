"""What is measured: networks, sizes and batches, in plain data for both libraries."""

import dataclasses
from typing import Any

CLASSES = 21  # of VOC; of ImageNet 1000
BOXES = 8  # in each image


@dataclasses.dataclass(frozen=True)
class Network:
    """A model section of jaxseg, its task and what a step is given.

    task: "segmentation", "classification", "detection" or "simmim". twin: the name of
    the same network in `twins.py`.
    """

    twin: str
    backbone: dict[str, Any]
    head: dict[str, Any]
    task: str
    size: int
    batch: int
    outputs: int = CLASSES


def _hrnet(variant: str, head: str, task: str, size: int, batch: int) -> Network:
    backbone = {"name": "hrnet", "variant": variant}
    return Network(f"hrnet_{variant}", backbone, {"name": head}, task, size, batch)


NETWORKS = {
    "U-Net base, 128 px, batch 2": Network(
        "unet",
        {"name": "unet", "variant": "base"},
        {"name": "unet"},
        "segmentation",
        size=128,
        batch=2,
    ),
    "HRNetV2-W18, 256 px, batch 2": _hrnet("w18", "linear", "segmentation", 256, 2),
    "ResNet-50, 160 px, batch 4": Network(
        "resnet50",
        {"name": "resnet", "variant": "50"},
        {"name": "pooled"},
        "classification",
        size=160,
        batch=4,
        outputs=1000,
    ),
    "DeepLabV3-ResNet-50, 129 px, batch 2": Network(
        "deeplabv3",
        {"name": "resnet", "variant": "50", "output_stride": 8},
        {"name": "deeplabv3"},
        "segmentation",
        size=129,
        batch=2,
    ),
    "ViT-Ti/16, 224 px, batch 8": Network(
        "vit_ti16",
        {"name": "vit", "variant": "ti16", "class_map": True},
        {"name": "pooled"},
        "classification",
        size=224,
        batch=8,
        outputs=1000,
    ),
    "SimMIM ViT, 128 px, batch 16": Network(
        "vit_simmim",
        {"name": "vit", "variant": "simmim"},
        {"name": "simmim"},
        "simmim",
        size=128,
        batch=16,
        outputs=3,
    ),
    "HRNetV2-W18 + CenterNet, 256 px, batch 2": _hrnet(
        "w18", "centernet", "detection", 256, 2
    ),
}
ON_ACCELERATOR = {  # beside those above, with 16 times as many images in a batch
    "HRNetV2-W48, 512 px, batch 16": _hrnet("w48", "linear", "segmentation", 512, 16),
}
MORE_IMAGES = 16


def on_accelerator() -> dict[str, Network]:
    """The networks for a GPU or TPU: batches that fill it."""
    larger = {}
    for name, network in NETWORKS.items():
        batch = MORE_IMAGES * network.batch
        name = f"{name.rsplit(' ', 1)[0]} {batch}"
        larger[name] = dataclasses.replace(network, batch=batch)
    return larger | ON_ACCELERATOR
