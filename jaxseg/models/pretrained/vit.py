"""ViT with patches of 16 under timm's names, and B under torchvision's."""

from jaxseg.models.pretrained import architecture

BLOCK, NAME = r"backbone/block(\d+)", r"blocks.\1"
TIMM = [
    (r"backbone/embed", "patch_embed.proj"),
    (r"backbone/positions", "pos_embed"),
    (r"backbone/class_token", "cls_token"),
    (rf"{BLOCK}/norm(\d)", rf"{NAME}.norm\2"),
    (rf"{BLOCK}/attention/qkv", rf"{NAME}.attn.qkv"),
    (rf"{BLOCK}/attention/out", rf"{NAME}.attn.proj"),
    (rf"{BLOCK}/fc(\d)", rf"{NAME}.mlp.fc\2"),
    (r"backbone/norm", "norm"),
    (r"heads_classification/classifier", "head"),
]
NAME = r"encoder.layers.encoder_layer_\1"
TORCHVISION = [
    (r"backbone/embed", "conv_proj"),
    (r"backbone/positions", "encoder.pos_embedding"),
    (r"backbone/class_token", "class_token"),
    (rf"{BLOCK}/norm(\d)", rf"{NAME}.ln_\2"),
    (rf"{BLOCK}/attention/qkv", rf"{NAME}.self_attention.in_proj_"),
    (rf"{BLOCK}/attention/out", rf"{NAME}.self_attention.out_proj"),
    (rf"{BLOCK}/fc1", rf"{NAME}.mlp.0"),
    (rf"{BLOCK}/fc2", rf"{NAME}.mlp.3"),
    (r"backbone/norm", "encoder.ln"),
    (r"heads_classification/classifier", "heads.head"),
]
HALF = (0.5, 0.5, 0.5)  # timm's ViTs see pixels between -1 and 1


def _arch(variant: str, **fields) -> architecture.Architecture:
    return architecture.Architecture(
        model={
            "backbone": {"name": "vit", "variant": variant, "class_map": True},
            "head": {"name": "pooled"},
        },
        stem="backbone/embed/kernel",
        mark="blocks.0.attn.qkv.weight",
        **fields,
    )


ARCHITECTURES = {
    f"vit_{name}_patch16_224": _arch(
        variant, namings={"timm": TIMM}, mean=HALF, std=HALF
    )
    for name, variant in (("tiny", "ti16"), ("small", "s16"), ("base", "b16"))
}
ARCHITECTURES["vit_b_16"] = _arch("b16", namings={"torchvision": TORCHVISION})
