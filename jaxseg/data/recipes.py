"""Augmentation of the five studies, as the sections that `transforms.build` takes.

factors (arXiv:2103.13318, 4.1) has only flip, rescale and crop. Chair segments names
none: its images are made at the training size. decoder_transfer crops at least half of
an image; `conrec` is what its self-supervised models see: the augmentation of SimCLR
(arXiv:2002.05709, appendix A), in the strength of ConRec's public code. PSSL and SimMIM
name the kinds, not the strengths: those here are ours. MixUp, of SimMIM's intermediate
step alone, works on batches: `mixing.mixup`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxseg.core import errors, lookup
from jaxseg.data import transforms

FLIP = {"name": "flip"}
RESCALED_CROP = ({"name": "rescale"}, {"name": "crop"})
WHOLE = {
    "name": "random_resized_crop",
    "area_low": 1.0,
}  # scaled and padded to the size
COLORS = {"name": "jitter", "probability": 0.8, "hue": 0.2} | dict.fromkeys(
    ("brightness", "contrast", "saturation"), 0.8
)

RECIPES = {
    "factors": (FLIP, *RESCALED_CROP),
    "chairs": (WHOLE,),
    "decoder_transfer": (FLIP, {"name": "random_resized_crop"}),
    "conrec": (
        FLIP,
        {"name": "random_resized_crop", "area_low": 0.08, "pad": False},
        COLORS,
        {"name": "grey"},
        {"name": "blur", "sigma": 2.0},
    ),
    # Ours, for short trainings on small images: larger crops, no blur.
    "conrec_mild": (
        FLIP,
        {"name": "random_resized_crop", "area_low": 0.3, "pad": False},
        COLORS,
        {"name": "grey"},
    ),
    "pssl": (FLIP, {"name": "rotate"}, *RESCALED_CROP, {"name": "blur"}),
    "simmim_pretraining": (
        FLIP,
        {"name": "random_resized_crop", "area_low": 0.2, "pad": False},
        {"name": "jitter"},
    ),
    "simmim_finetuning": (FLIP, WHOLE, {"name": "jitter"}),
}


def recipe(name: str) -> list[dict[str, Any]]:
    """The sections of a recipe, in order."""
    return [dict(step) for step in lookup.pick(RECIPES, name, kind="recipe")]


def sized(
    augment: str | Sequence[Mapping[str, Any]], height: int, width: int
) -> list[dict[str, Any]]:
    """Sections, or those of a recipe, with all defaults and the training resolution."""
    steps = recipe(augment) if isinstance(augment, str) else augment
    own = {"height": height, "width": width}
    done = []
    for place, step in enumerate(steps):
        with errors.located(f"augment/{place}"):
            bound = transforms.bind(step)
        filled = {k: v for k, v in own.items() if bound.get(k, v) is None}
        done.append(bound | filled)
    return done
