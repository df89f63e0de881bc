"""torchvision's whole segmentation models: a dilated ResNet and its head."""

from jaxseg.models.pretrained import architecture, resnet

BACKBONE = [(path, f"backbone.{name}") for path, name in resnet.BACKBONE]
HEAD = "heads_segmentation"
FCN = [
    (f"{HEAD}/conv/conv", "classifier.0"),
    (f"{HEAD}/conv/norm", "classifier.1"),
    (f"{HEAD}/output", "classifier.4"),
]
DEEPLAB = [
    (rf"{HEAD}/aspp/branch(\d)/conv", r"classifier.0.convs.\1.0"),
    (rf"{HEAD}/aspp/branch(\d)/norm", r"classifier.0.convs.\1.1"),
    (f"{HEAD}/aspp/pooled/conv", "classifier.0.convs.4.1"),
    (f"{HEAD}/aspp/pooled/norm", "classifier.0.convs.4.2"),
    (f"{HEAD}/aspp/project/conv", "classifier.0.project.0"),
    (f"{HEAD}/aspp/project/norm", "classifier.0.project.1"),
    (f"{HEAD}/conv/conv", "classifier.1"),
    (f"{HEAD}/conv/norm", "classifier.2"),
    (f"{HEAD}/output", "classifier.4"),
]


def _arch(head: str, variant: str, rules: list) -> architecture.Architecture:
    backbone = {"name": "resnet", "variant": variant, "output_stride": 8}
    return architecture.Architecture(
        model={"backbone": backbone, "head": {"name": head}},
        namings={"torchvision": BACKBONE + rules},
        left={"torchvision": r"aux_classifier\..*"},  # an aid of its training
        task="segmentation",
        stem=resnet.STEM,
        mark="backbone.layer4.0.conv3.weight",
    )


ARCHITECTURES = {
    f"{head}_resnet{variant}": _arch(head, variant, rules)
    for head, rules in (("fcn", FCN), ("deeplabv3", DEEPLAB))
    for variant in ("50", "101")
}
