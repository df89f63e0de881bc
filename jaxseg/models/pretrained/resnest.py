"""ResNeSt under timm's names."""

from jaxseg.models.pretrained import architecture

BLOCK, NAME = r"backbone/stage(\d)/block(\d+)", r"layer\1.\2"
RULES = [
    (r"backbone/stem/conv1/conv", "conv1.0"),
    (r"backbone/stem/conv1/norm", "conv1.1"),
    (r"backbone/stem/conv2/conv", "conv1.3"),
    (r"backbone/stem/conv2/norm", "conv1.4"),
    (r"backbone/stem/conv3/conv", "conv1.6"),
    (r"backbone/stem/conv3/norm", "bn1"),
    (rf"{BLOCK}/conv(\d)/conv", rf"{NAME}.conv\3"),
    (rf"{BLOCK}/conv(\d)/norm", rf"{NAME}.bn\3"),
    (rf"{BLOCK}/split/conv/conv", rf"{NAME}.conv2.conv"),
    (rf"{BLOCK}/split/conv/norm", rf"{NAME}.conv2.bn0"),
    (rf"{BLOCK}/split/fc1/conv", rf"{NAME}.conv2.fc1"),
    (rf"{BLOCK}/split/fc1/norm", rf"{NAME}.conv2.bn1"),
    (rf"{BLOCK}/split/fc2", rf"{NAME}.conv2.fc2"),
    (rf"{BLOCK}/shortcut/conv", rf"{NAME}.downsample.1"),
    (rf"{BLOCK}/shortcut/norm", rf"{NAME}.downsample.2"),
    (r"heads_classification/classifier", "fc"),
]
ARCHITECTURES = {
    "resnest50d": architecture.Architecture(
        model={
            "backbone": {"name": "resnest", "variant": "50d"},
            "head": {"name": "pooled"},
        },
        namings={"timm": RULES},
        stem="backbone/stem/conv1/conv/kernel",
        mark="layer4.0.conv2.fc1.weight",
    )
}
