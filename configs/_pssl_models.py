"""Networks of the PSSL study, by default and in `paper`."""

DILATED = dict(output_stride=8)
MODELS = {  # {model: (backbone, its fields in segmentation, head)}
    "PSPNet": ("resnet", DILATED, "pspnet"),
    "DeepLabV3": ("resnest", DILATED, "deeplabv3"),
    "OCRNet": ("hrnet", {}, "ocrnet"),
    "DeepLabV3-ResNet": ("resnet", DILATED, "deeplabv3"),
}
VARIANTS = {  # by default, in `paper`
    "resnet": ("tiny", "50"),
    "resnest": ("tiny", "50d"),
    "hrnet": ("tiny", "w18"),
}
# Of heads by default; dilation as wide in the 8 x 8 maps of 64 pixels as it is of 480.
NARROW = {
    "pspnet": dict(width=32),
    "deeplabv3": dict(width=32, rates=[2, 4, 6]),
    "ocrnet": dict(width=32, key_width=16),
}


def network(arg, model):
    """The section of a model that segments."""
    backbone, fields, head = MODELS[model]
    narrow = {} if arg.paper else NARROW[head]
    return dict(
        backbone=backbone_of(arg, backbone) | fields, head=dict(name=head) | narrow
    )


def backbone_of(arg, name):
    """The section of a backbone."""
    return dict(name=name, variant=VARIANTS[name][arg.paper])
