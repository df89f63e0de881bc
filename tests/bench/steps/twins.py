"""The same networks in PyTorch: timm's and torchvision's, and three written here.

The parent compares the numbers of parameters with those of jaxseg's.
"""

import contextlib
import itertools

import torch
from torch import nn
from torch.nn import functional

with contextlib.suppress(RuntimeError):  # torchvision asks for operators it may lack
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def resized(x, size):
    """Bilinear, half-pixel centres."""
    return functional.interpolate(x, size, mode="bilinear")


class DoubleConv(nn.Sequential):
    def __init__(self, channels, width):
        parts = []
        for source in (channels, width):
            conv = nn.Conv2d(source, width, 3, padding=1, bias=False)
            parts += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        super().__init__(*parts)


class UNet(nn.Module):
    """Encoder, nearest upsampling, projected skips."""

    def __init__(self, outputs, widths=(32, 64, 128, 256, 512)):
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(DoubleConv(a, b) for a, b in [(3, widths[0]), *pairs])
        self.skip = nn.ModuleList(nn.Conv2d(a, a, 1) for a, _ in pairs)
        self.up = nn.ModuleList(DoubleConv(a + b, a) for a, b in pairs)
        self.output = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x):
        maps = [self.down[0](x)]
        for level in self.down[1:]:
            maps.append(level(functional.max_pool2d(maps[-1], 2)))
        x = maps.pop()
        for skip, up in zip(reversed(self.skip), reversed(self.up)):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = up(torch.cat([skip(maps.pop()), x], 1))
        return self.output(x)


class HRNet(nn.Module):
    """timm's backbone with the linear head, or CenterNet's neck and three maps."""

    def __init__(self, variant, outputs, centernet, neck=240, width=256):
        super().__init__()
        import timm

        options = {"features_only": True, "feature_location": ""}
        self.backbone = timm.create_model(variant, **options)
        channels = sum(self.backbone.feature_info.channels()[-4:])
        self.centernet = centernet
        if not centernet:
            self.output = nn.Conv2d(channels, outputs, 1)
            return
        conv = nn.Conv2d(neck, neck, 3, padding=1, bias=False)
        norm, relu = nn.BatchNorm2d(neck), nn.ReLU(inplace=True)
        self.neck = nn.Sequential(nn.Conv2d(channels, neck, 1), conv, norm, relu)

        def branch(outputs):
            first = nn.Conv2d(neck, width, 3, padding=1)
            last = nn.Conv2d(width, outputs, 3, padding=1)
            return nn.Sequential(first, nn.ReLU(inplace=True), last)

        wanted = {"heat": outputs, "offset": 2, "size": 2}
        self.maps = nn.ModuleDict({name: branch(n) for name, n in wanted.items()})

    def forward(self, x):
        maps = self.backbone(x)[-4:]
        finest = maps[0].shape[-2:]
        joined = torch.cat([maps[0], *(resized(m, finest) for m in maps[1:])], 1)
        if not self.centernet:
            return resized(self.output(joined), x.shape[-2:])
        neck = self.neck(joined)
        return {name: branch(neck) for name, branch in self.maps.items()}


class Block(nn.Module):
    """Attention and perceptron, normalised before."""

    def __init__(self, width, heads, inner, hidden, bias):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * inner, bias), nn.Linear(inner, width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        b, n, _ = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, n, -1))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))


class SimMIM(nn.Module):
    """The small ViT of the SimMIM study: no class token, 8 heads of 64."""

    def __init__(self, outputs, width=128, depth=12, patch=16, side=8):
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, side * side, width))
        blocks = (Block(width, 8, 512, 512, bias=False) for _ in range(depth))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.output = nn.Linear(width, patch * patch * outputs)
        self.patch = patch

    def forward(self, image, mask):
        x = self.embed(image).flatten(2).transpose(1, 2)
        x = torch.where(mask.flatten(1)[..., None], self.token, x)
        x = self.output(self.norm(self.blocks(x + self.positions)))
        b, _, h, w = image.shape
        p, q = h // self.patch, w // self.patch
        x = x.reshape(b, p, q, self.patch, self.patch, -1).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(b, -1, h, w)


def network(twin, task, outputs):
    """The module of a name in `networks.py`."""
    if twin == "unet":
        return UNet(outputs)
    if twin == "vit_simmim":
        return SimMIM(outputs)
    if twin.startswith("hrnet"):
        return HRNet(twin, outputs, centernet=task == "detection")
    if twin == "deeplabv3":
        from torchvision.models import segmentation

        options = {"weights": None, "weights_backbone": None, "num_classes": outputs}
        return segmentation.deeplabv3_resnet50(**options)
    import timm

    published = {"resnet50": "resnet50", "vit_ti16": "vit_tiny_patch16_224"}[twin]
    return timm.create_model(published, num_classes=outputs)
