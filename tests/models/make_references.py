r"""Regenerates tests/golden/torch/*.npz: what PyTorch makes of filled weights.

  pip install torch==2.13.0 && pip install --no-deps torchvision==0.28.0 timm
  python tests/models/make_references.py [NAME ...]

Each file holds, for every size of image and every map (NHWC, flattened), some 2000
values at places of `filling.places`, the shape, mean and standard deviation; for the
small-variance weights the logits alone; and the names and shapes of all tensors. Names
of maps: "96x128/map0", ..., "96x128/logits", "96x128/small/logits".
"""

import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.models import filling

GOLDEN = Path(__file__).parents[1] / "golden" / "torch"
with contextlib.suppress(RuntimeError):  # torchvision asks for operators it lacks here
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

ANY = ((96, 128), (65, 97))  # even and odd, none square
WHOLE = ((96, 128), (64, 160))  # multiples of 32
PATCHES = ((224, 224), (96, 128))
TIMM = {
    "hrnet_w18_small": WHOLE,
    "hrnet_w18_small_bilinear": ANY,
    "hrnet_w18": WHOLE,
    "hrnet_w32": WHOLE,
    "hrnet_w48": WHOLE,
    "resnet50": ANY,
    "resnet101": ANY,
    "resnet50_os8": ANY,
    "resnet50_os16": ANY,
    "resnest50d": ANY,
    "resnest50d_os8": ANY,
    "vgg16": ANY,
    "vgg16_bn": ANY,
    "vit_tiny_patch16_224": PATCHES,
    "vit_small_patch16_224": PATCHES,
    "vit_base_patch16_224": PATCHES,
}
TORCHVISION = {
    "fcn_resnet50": ANY,
    "fcn_resnet101": ANY,
    "deeplabv3_resnet50": ANY,
    "deeplabv3_resnet101": ANY,
    "vit_b_16": ((224, 224),),
}


def network(name):
    """The torch module of an architecture's name."""
    if name in TORCHVISION:
        import torchvision

        family = torchvision.models
        if name != "vit_b_16":
            family = torchvision.models.segmentation
            options = {"weights": None, "weights_backbone": None, "num_classes": 21}
            return getattr(family, name)(**options)
        return family.vit_b_16(weights=None)
    import timm

    if name.endswith("_bilinear"):
        return fused_bilinearly(timm.create_model(name.removesuffix("_bilinear")))
    base, _, stride = name.partition("_os")
    options = {"output_stride": int(stride)} if stride else {}
    if base.startswith("vit"):
        options["dynamic_img_size"] = True
    return timm.create_model(base, pretrained=False, **options)


def fused_bilinearly(module):
    """timm's HRNet with the fusion of the authors' segmentation code.

    HRNet-Semantic-Segmentation, lib/models/seg_hrnet.py: a smaller map is resized to
    the size of the map it is added to, `F.interpolate(size=..., mode="bilinear")`.
    """
    from timm.models import hrnet

    def forward(self, x):
        if self.num_branches == 1:
            return [self.branches[0](x[0])]
        x = [branch(each) for branch, each in zip(self.branches, x)]
        fused = []
        for target, layers in enumerate(self.fuse_layers):
            size = x[target].shape[-2:]
            parts = [
                layer(each)
                if source <= target
                else torch.nn.functional.interpolate(
                    layer[:2](each), size=size, mode="bilinear"
                )
                for source, (layer, each) in enumerate(zip(layers, x))
            ]
            fused.append(self.fuse_act(sum(parts[1:], parts[0])))
        return fused

    for each in module.modules():
        if isinstance(each, hrnet.HighResolutionModule):
            each.forward = forward.__get__(each)
    return module


def maps(module, name, image):
    """{map: NCHW array} of the backbone, by hooks on what its maps come out of."""
    found = {}

    def keep(key):
        def hook(_, inputs, output):
            found[key] = output

        return hook

    def before(key):
        def hook(_, inputs):
            found[key] = inputs[0]

        return hook

    handles = []
    if name.startswith("hrnet"):

        def branches(_, inputs, output):
            found.update({f"map{i}": x for i, x in enumerate(output)})

        handles.append(module.stage4.register_forward_hook(branches))
    elif name.startswith("vgg"):
        pools = [m for m in module.features if isinstance(m, torch.nn.MaxPool2d)]
        handles += [
            m.register_forward_pre_hook(before(f"map{i}")) for i, m in enumerate(pools)
        ]
    elif name.startswith("vit_b_16"):
        pass
    elif name.startswith("vit"):

        def tokens(_, inputs, output):
            side = [n // 16 for n in image.shape[2:]]
            patches = output[:, 1:].transpose(1, 2)
            found["map0"] = patches.reshape(1, -1, *side)

        handles.append(module.norm.register_forward_hook(tokens))
    else:
        trunk = module.backbone if name in TORCHVISION else module
        for i in range(4):
            stage = getattr(trunk, f"layer{i + 1}")
            handles.append(stage.register_forward_hook(keep(f"map{i}")))
    with torch.no_grad():
        output = module(image)
    found["logits"] = output["out"] if isinstance(output, dict) else output
    for handle in handles:
        handle.remove()
    return {key: x.numpy() for key, x in found.items()}


def load_filled(module, small_variance):
    """Every tensor of a module by `filling.fill`."""
    state = {
        key: torch.from_numpy(
            np.array(filling.fill(key, tuple(x.shape), small_variance))
        )
        for key, x in module.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    module.load_state_dict(state, strict=False)


def sampled(array):
    """A map as it is stored."""
    if array.ndim == 4:
        array = array.transpose(0, 2, 3, 1)
    flat = array.reshape(-1)
    return {
        "values": flat[filling.places(flat.size)],
        "shape": np.array(array.shape, np.int32),
        "moments": np.array([flat.mean(dtype=np.float64), flat.std(dtype=np.float64)]),
    }


def write(name, sizes):
    """One reference file."""
    module, stored = network(name).eval(), {}
    for small_variance in (False, True):
        has_norm = any("running_var" in key for key in module.state_dict())
        if small_variance and not has_norm:
            continue
        load_filled(module, small_variance)
        for size in sizes[:1] if small_variance else sizes:
            image = torch.from_numpy(filling.image(*size).transpose(0, 3, 1, 2))
            for key, x in maps(module, name, image.contiguous()).items():
                if small_variance and key != "logits":
                    continue
                place = f"{size[0]}x{size[1]}" + ("/small" if small_variance else "")
                moments = sampled(x)["moments"]
                print(f"{name} {place}/{key} {x.shape} mean, std {moments}")
                stored |= {f"{place}/{key}/{k}": v for k, v in sampled(x).items()}
    shapes = {
        key: list(x.shape)
        for key, x in module.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    stored["tensors"] = np.array(json.dumps(shapes))
    np.savez_compressed(GOLDEN / f"{name}.npz", **stored)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True, parents=True)
    every = TIMM | TORCHVISION
    for chosen in sys.argv[1:] or every:
        write(chosen, every[chosen])
