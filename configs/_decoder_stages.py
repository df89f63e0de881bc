"""The stages of `decoder.py`: pretexts, how they are judged, and fine-tuning."""

import zlib

from configs import common

OWN_SEEDS = 1000  # of each target: none begins at the weights of another
CURVE = 10  # points of a curve of Fig. 4
UNCURVED = ("1 %", "20 %", "underwater")  # settings without one
SHOWN = 8  # images of Grad-CAM
REBUILT = 64  # images on which a reconstruction is judged
DICE = {
    "name": "segmentation",
    "binary": True,
    "losses": {"dice": 1.0},
    "headline": "dice_per_image",
}
PROJECTION, DECODER = {"name": "projection"}, {"name": "reconstruction"}
# {pretext: task, heads and augmentation of its training; None: `views`}.
PRETEXTS = {
    "SimCLR": dict(
        task={"name": "simclr"}, heads={"projection": PROJECTION}, augment=None
    ),
    "Reconstruction": dict(
        task={"name": "reconstruction"},
        heads={"reconstruction": DECODER | {"targets": 1}},
        augment="decoder_transfer",
    ),
    "ConRec": dict(
        task={"name": "conrec"},
        heads={"reconstruction": DECODER, "projection": PROJECTION},
        augment=None,
    ),
    "Classification": dict(
        task={"name": "classification"},
        head=common.POOLED,
        augment="decoder_transfer",
    ),
    "Segmentation": dict(task=DICE, head={"name": "unet"}, augment="decoder_transfer"),
}
CONTRASTED = ("SimCLR", "ConRec")  # judged by linear probes
UNLABELLED = ("SimCLR", "Reconstruction", "ConRec")
WITH_DECODER = ("Reconstruction", "Segmentation", "ConRec")


def kind_of(name):
    """Segmentation of "Segmentation car", which is one of several."""
    return name.split()[0]


def names(source, kinds):
    """Of the pretexts of these kinds: `Segmentation car` where there are several."""
    found = []
    for kind in kinds:
        several = () if "name" in source.get(kind, {}) else source.get(kind, {})
        found += [f"{kind} {name}" for name in several] or [kind]
    return found


def pretext(arg, images, source, name):
    """The training of an encoder, or of an encoder and a decoder, on a source. One with
    labels is judged on a held-out fifth of them (the paper: on 30 % of the patches).

    images: the entry of the source in `_decoder_sets`.
    """
    (kind, *shown), how = name.split(), PRETEXTS[kind_of(name)]
    row = dict(role="source", target=f"{source}, {name}", source="random", seed=0)
    if kind in UNLABELLED:
        data = few(images["images"], arg.images)
        own = dict(evaluations={}, headline=None, steps=arg.pretext_steps)
        own |= dict(batch_size=arg.pretext_batch, lr=arg.pretext_lr)
        if how["augment"] is None:
            task = how["task"] | dict(temperature=arg.temperature)
            how = how | dict(augment=arg.views, task=task)
    else:
        data = images[kind][shown[0]] if shown else images[kind]
        data = few(data, arg.images) | dict(part="train")
        held = dict(split=data["split"], part="holdout")
        own = dict(evaluations=dict(holdout=held), headline="holdout")
        own |= dict(steps=arg.supervised_steps, lr=arg.supervised_lr)
        own |= dict(batch_size=arg.supervised_batch)
    size = arg.pretext_size if kind in UNLABELLED else arg.size
    return trained(arg, data, how, size) | own | dict(columns=[row])


def judgements(arg, images, source, name):
    """What says whether a pretext was learned: linear probes beside those of random
    encoders, its reconstructions; of the classifier of cars what it looks at.
    """
    kind, stage, found = kind_of(name), f"pretext/{source}/{name}", {}
    row = dict(target=source, source=name)
    if kind in CONTRASTED and "probe" in images:
        for start, parent in (("random", None), (name, stage)):
            for seed in common.seeds(arg.probe_seeds, "probe_seeds"):
                place = f"probe/{source}/{start}/seed{seed}"
                own = row | dict(source=start, seed=seed)
                found[place] = probe(arg, images["probe"], own, parent)
    if kind in UNLABELLED and kind in WITH_DECODER:
        data = few(images["images"], REBUILT)
        data = {key: value for key, value in data.items() if key != "mix"}
        analysis = dict(name="reconstructions", data=data)
        found[f"rebuilt/{source}/{name}"] = measured({"model": stage}, analysis, row)
    if kind == "Classification" and source == "cityscapes":
        analysis = dict(name="grad_cam", data=few(images["probe"][1], SHOWN))
        found[f"grad_cam/{source}"] = measured({"model": stage}, analysis, row)
    return found


def probe(arg, images, row, parent):
    """A linear classifier on a frozen encoder, which runs in evaluation mode."""
    train, test = (few(section, arg.probe_images) for section in images)
    whole = dict(name="letterbox", height=arg.size, width=arg.size)
    how = PRETEXTS["Classification"] | dict(augment=[whole])
    return trained(arg, train, how) | dict(
        steps=arg.probe_steps,
        batch_size=arg.probe_batch,
        lr=arg.probe_lr,
        lr_multipliers=common.PROBE["lr_multipliers"],
        seed=row["seed"],
        evaluations=dict(test=test),
        headline="test",
        columns=[row | dict(role="target", setting="probe", baseline="random")],
        **begun(parent),
    )


def similarity(arg, images, encoders):
    """CKA of {name: stage} on the same images (Fig. 7)."""
    analysis = dict(name="cka", data=few(images, arg.measured))
    return measured(encoders, analysis, dict(setting="similarity"))


def measured(parents, analysis, row):
    """A stage that measures its parents."""
    columns = [row | dict(role="measure")]
    return dict(kind="measure", parents=parents, analysis=analysis, columns=columns)


def fine_tuning(arg, images, row, parent, whole):
    """A training on foreground and background (2.3). The curve of its Dice (Fig. 4) is
    of the target's `curve` and chooses nothing.

    whole: whether the decoder of the pretext is taken as well.
    """
    own = OWN_SEEDS * (1 + zlib.crc32(row["target"].encode()) % 10**6)
    stage = trained(arg, images["train"], PRETEXTS["Segmentation"]) | dict(
        steps=arg.steps,
        batch_size=arg.batch,
        lr=arg.lr,
        seed=own + row["seed"],
        evaluations=dict(test=images["test"]),
        headline="test",
        samples=4 if row["seed"] == 0 else 0,
        columns=[row],
    )
    if row["setting"] not in UNCURVED:
        stage["evaluations"]["curve"] = images["curve"]
        stage |= dict(choose_by="curve", eval_every=max(1, arg.steps // CURVE))
    return stage | begun(parent, whole)


def trained(arg, images, how, size=None):
    """Data, task and U-Net of a training; how: an entry of PRETEXTS; size: of images,
    by default that of fine-tuning.
    """
    heads = {key: how[key] for key in ("head", "heads") if key in how}
    return dict(
        kind="train",
        data=images | dict(size=[size or arg.size] * 2, augment=how["augment"]),
        task=how["task"],
        model=dict(backbone=dict(name="unet", variant=arg.variant), **heads),
        optimizer={"name": "adam"},
        schedule={"name": arg.schedule},
        samples=0,
    )


def drawn(images, fraction, seed, curve_images):
    """{"train", "test", "curve": section} of a target. Of a set without a split each
    seed draws another fraction, and the rest is tested on.
    """
    found = dict(images)
    if "drawn" in found:
        train = found.pop("drawn") | dict(fraction=fraction, seed=seed)
        found = dict(train=train, test=train | dict(part="rest")) | found
    curve = found.get("curve", found["test"])
    if "part" not in curve and "only" not in curve:  # or their number is not known
        curve = few(curve, curve_images)
    return found | dict(curve=curve)


def begun(parent, whole=False):
    """The transplants from a pretext: its encoder, or encoder and decoder."""
    if parent is None:
        return {}
    first = dict(parent="start", take={"backbone": "backbone"})
    starts, here = [first], "heads_segmentation"
    if whole and kind_of(parent.split("/")[-1]) == "Segmentation":
        first["take"][here] = here
    elif whole:  # a reconstruction has a last block for each target
        there = "heads_reconstruction"
        first["take"][f"{here}/decoder"] = f"{there}/decoder"
        first["reinit"] = [rf"{here}/decoder/up0/.*"]
        last = {f"{here}/decoder/up0": f"{there}/target0"}
        starts.append(dict(parent="start", take=last))
    return dict(parents={"start": parent}, starts=starts)


def few(section, most):
    """A data section with at most so many images of each of its splits; 0: all."""
    known = section.get("count") or common.splits(section["name"])[section["split"]]
    count = most if 0 < most < known else section.get("count")
    section = section | dict(count=count)
    if "mix" in section:
        section |= dict(mix=[few(one, most) for one in section["mix"]])
    return section
