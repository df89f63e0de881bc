"""VGG-16 under timm's and torchvision's names."""

import numpy as np

from jaxseg.models.backbones import vgg
from jaxseg.models.pretrained import architecture

HEAD = "heads_classification"
TIMM = [
    (rf"{HEAD}/fc(\d)", r"pre_logits.fc\1"),
    (rf"{HEAD}/classifier", "head.fc"),
]
TORCHVISION = [
    (rf"{HEAD}/fc1", "classifier.0"),
    (rf"{HEAD}/fc2", "classifier.3"),
    (rf"{HEAD}/classifier", "classifier.6"),
]


def _features(norm: bool) -> list[tuple[str, str]]:
    """The layers of `features` are counted with their ReLUs, norms and poolings."""
    rules, place = [], 0
    for level, length in enumerate(vgg.LENGTHS):
        for i in range(1, length + 1):
            path = f"backbone/level{level}/conv{i}"
            if norm:
                rules.append((f"{path}/conv", f"features.{place}"))
                rules.append((f"{path}/norm", f"features.{place + 1}"))
            else:
                rules.append((path, f"features.{place}"))
            place += 3 if norm else 2
        place += 1
    return rules


def channels_last(weight: np.ndarray) -> np.ndarray:
    """[D, 512 * 7 * 7] or [D, 512, 7, 7], channels first, -> [7 * 7 * 512, D]."""
    outputs = weight.shape[0]
    cells = 7 * 7
    weight = weight.reshape(outputs, -1, cells)
    return weight.transpose(2, 1, 0).reshape(-1, outputs)


def _arch(variant: str, norm: bool) -> architecture.Architecture:
    features = _features(norm)
    return architecture.Architecture(
        model={
            "backbone": {"name": "vgg", "variant": variant},
            "head": {"name": "vgg"},
        },
        namings={"timm": features + TIMM, "torchvision": features + TORCHVISION},
        reshape={
            f"params/{HEAD}/fc1/kernel": channels_last,
            f"params/{HEAD}/fc2/kernel": lambda w: w.reshape(len(w), -1).transpose(),
        },
        stem=f"backbone/level0/conv1{'/conv' if norm else ''}/kernel",
        mark="features.40.weight" if norm else "features.28.weight",
    )


ARCHITECTURES = {"vgg16": _arch("16", False), "vgg16_bn": _arch("16_bn", True)}
