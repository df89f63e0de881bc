r"""Are decoders worth transferring (Dippel et al. 2022, arXiv:2207.14508)?

  python -m jaxseg.main --config=configs/decoder.py
  python -m jaxseg.main --config=configs/decoder.py:parts=cars+dogs,seeds=5
  python -m jaxseg.main --config=configs/decoder.py:paper --plan
  python -m jaxseg.main --config=configs/decoder.py:paper,smoke
  python -m jaxseg.main --config=configs/decoder.py:parts=,own=camvid/11@car,root=DIR

A U-Net starts from random weights, from the encoder of a pretext, or from its encoder
and decoder (Fig. 1); the names of starts are the paper's, `EncOnly` is scenario 4. Of a
reconstruction the decoder's last block is that of the first of the four targets, the
whole image, and the output layer is fresh; of a segmentation all is taken.

Parts: `labels` (Table 2: 1, 5 and 20 % of a set that encoders saw without labels),
`cars` (Table 4), `dogs` (Table 5), `underwater` (stands in for Table 3, which is on
volumes: Reconstruction in the place of Models Genesis), `similarity` (Fig. 7: seven
encoders, and what each gives two targets, ours). Beside them `own=` names sets, NAME or
NAME@CLASS, that are fine-tuned on from the starts of `cars`, each set once.

By default all images are rendered, the U-Net is `small`, and numbers of images and
steps are ours, as are the falling rate, the 32 pixels of self-supervision and its views
with larger crops and no blur (`views=conrec`: those of the public code). So are, in
`paper` too, since it does not say: optimizers, rates, batch sizes, numbers of steps but
the 150,000 of Fig. 7, the share of bus images that is trained on, and that the draws of
Table 2 differ from repeat to repeat. By default the encoders that D3 compares, on bus,
cat and horse, have more repeats than others (`domain_seeds`): they differ by little.
The paper's 7375 pets are 7349 on disk. Self-supervised encoders start from one training
each, as there.
"""

from configs import _decoder_sets as sets_of
from configs import _decoder_stages as stages_of
from configs import common

RANDOM, ENCODER_ONLY = "random", "-EncOnly"
FRACTIONS = {"1 %": 0.01, "5 %": 0.05, "20 %": 0.2}  # settings of `labels`
LABELLED = ("Classification", "Segmentation")
ALL = (*LABELLED, *stages_of.UNLABELLED)
# {part: (what its encoders are pretrained on, None: on each target; how; targets)}.
PARTS = {
    "labels": (None, stages_of.UNLABELLED, ("flowers", "pets")),
    "cars": ("cityscapes", ALL, ("bus", "airplane")),
    "dogs": ("dogs", LABELLED, ("cat", "horse")),
    "underwater": ("underwater", ("Reconstruction",), ("underwater",)),
    "similarity": ("voc", ALL, ("horse", "bus")),
}
OWN = "own"  # a part with the starts of this one
OWN_STARTS = "cars"
MASKS = "folder/segmentation"  # the set that has an option `mask_size`
MASK_SIZES = ("refuse", "resize")
# Targets, and starts, of D3: pretexts in the target's own domain.
IN_DOMAIN = ("bus", "cat", "horse")
ORDERED = ("Segmentation-EncOnly", "Reconstruction-EncOnly", "Classification")
FIGURE_6 = ("cat", "pets", stages_of.UNLABELLED)  # whose pictures are beside Table 5's
EMBEDDED = dict(
    parts=tuple(PARTS),
    seeds=4,  # as many as twenty minutes allow
    domain_seeds=12,  # of the encoders alone that D3 compares: they differ by little
    probe_seeds=5,
    size=48,
    variant="small",
    batch=8,
    steps=60,
    # The best of .003, .005, .01 and .02 by the mean Dice of all starts on bus and
    # airplane, two seeds, 100 steps: .675, .735, .805, .803.
    lr=1e-2,
    schedule="cosine",  # with a constant rate the last steps scatter
    fraction=0.2,  # of the images of bus and of underwater
    curve_images=40,  # on which the Dice of Fig. 4 is measured
    images=1000,  # of a pretext; 0: all
    pretext_size=common.CONTRAST["size"][0],  # of self-supervision
    pretext_steps=150,
    pretext_batch=common.CONTRAST["batch_size"],
    pretext_lr=common.CONTRAST["lr"],
    temperature=common.CONTRAST["temperature"],
    views=common.CONTRAST["augment"],  # a recipe
    supervised_steps=200,
    supervised_batch=16,
    supervised_lr=1e-2,
    probe_images=500,  # 0: all
    probe_steps=150,
    probe_batch=32,
    probe_lr=0.03,
    measured=256,  # images of CKA; 0: all
)
PAPER = EMBEDDED | dict(
    size=128,  # its deepest maps are the 8 x 8 x 512 of 5.2
    variant="base",
    batch=16,
    steps=5000,
    lr=1e-3,
    seeds=3,
    domain_seeds=3,
    probe_seeds=3,
    schedule="constant",
    curve_images=100,
    images=0,
    pretext_size=128,
    pretext_steps=150_000,
    pretext_batch=128,
    temperature=0.5,
    views="conrec",
    supervised_steps=20_000,
    supervised_lr=1e-3,
    probe_images=0,
    probe_steps=5000,
    measured=0,
)
OTHERS = dict(paper=False, smoke=False, own=("",), root=("",), mask_size="refuse")
# Numbers of images with the fewest that make sense; 0: all.
COUNTS = dict(images=1, probe_images=1, measured=4, curve_images=1)
SIDE = 16  # pixels: the U-Net halves an image four times


def get_config(arg=""):
    """Arguments: parts and sizes of the study; `paper`; sets of one's own."""
    text = arg
    arg = common.parse(text, **OTHERS, **EMBEDDED)
    if arg.paper:
        arg = common.parse(text, **OTHERS, **PAPER)
    own = check(arg)
    sources, targets = sets_of.PAPER if arg.paper else sets_of.EMBEDDED
    cells = {}
    for part in (*arg.parts, *([OWN] if own else [])):
        for target in own if part == OWN else PARTS[part][2]:
            images = (targets | own)[target]
            cells |= trainings(arg, part, target, images, starts(sources, part, target))
    used = [cell["parents"]["start"] for cell in cells.values() if "parents" in cell]
    pretexts, judged = {}, {}
    for stage in dict.fromkeys(used):
        _, source, name = stage.split("/")
        pretexts[stage] = stages_of.pretext(arg, sources[source], source, name)
        judged |= stages_of.judgements(arg, sources[source], source, name)
    if "similarity" in arg.parts:
        source, pairs = PARTS["similarity"][0], starts(sources, "similarity", "")
        encoders = {name: stage for name, (stage, _) in pairs.items() if stage}
        images = sources[source]["images"]
        judged["similarity"] = stages_of.similarity(arg, images, encoders)
    return common.study("decoder", pretexts | cells | judged, smoke=arg.smoke)


def check(arg):
    """The sets of `own`, by name; ValueError on arguments that no study can have."""
    for name, fewest in COUNTS.items():
        if arg[name] and arg[name] < fewest:
            raise ValueError(
                f"{name}={arg[name]}: allowed are 0 (all), {fewest} and more"
            )
    for name in ("size", "pretext_size"):
        if arg[name] < SIDE or arg[name] % SIDE:
            raise ValueError(f"{name}={arg[name]}: allowed are multiples of {SIDE}")
    parts = list(filter(None, arg.parts))
    for part in parts:
        if part not in PARTS:
            raise common.unknown("part", part, PARTS)
    if not 0 < arg.fraction < 1:
        raise ValueError(f"fraction={arg.fraction}: allowed is above 0 and below 1")
    common.seeds(arg.domain_seeds, "domain_seeds")
    own, roots = (list(filter(None, arg[name])) for name in ("own", "root"))
    if not own and not parts:
        raise ValueError(f"parts=: allowed are {', '.join(PARTS)}, or sets by own=NAME")
    if roots and len(roots) != len(own):
        raise ValueError(
            f"own={'+'.join(own)}, root={'+'.join(roots)}: allowed is a folder for "
            "each set, or none"
        )
    if arg.mask_size not in MASK_SIZES:
        raise common.unknown("mask_size", arg.mask_size, MASK_SIZES)
    if arg.mask_size != "refuse" and not any(n.split("@")[0] == MASKS for n in own):
        raise ValueError(f"mask_size={arg.mask_size}: allowed with own={MASKS} alone")
    found = zip(own, roots or [None] * len(own))
    return {name: own_target(name, root, arg.mask_size) for name, root in found}


def own_target(name, root, mask_size):
    """A set on disk: NAME of two classes, or NAME@CLASS of one of several."""
    dataset, at, only = name.partition("@")
    if not dataset or (at and not only):
        raise ValueError(f"own={name}: allowed are NAME and NAME@CLASS")
    classes = common.classes(dataset)
    if not only and len(classes) > 2:
        raise ValueError(
            f"own={name}: found {len(classes)} classes, allowed: one of them, as "
            f"{name}@{classes[-1]}. Known: {', '.join(classes)}"
        )
    if root:
        common.folder(root, "root")
    data = dict(name=dataset, root=root)
    if only:
        data["only"] = only
    if dataset == MASKS:
        data["options"] = dict(binary=not only, mask_size=mask_size)
    known = common.splits(dataset)
    tested = next((split for split in ("validation", "test") if split in known), None)
    if tested is None:
        raise ValueError(f"own={name}: allowed are sets with validation or test images")
    return dict(train=data | dict(split="train"), test=data | dict(split=tested))


def starts(sources, part, target):
    """{name: (the stage of a pretext, None for random weights; whether its decoder is
    taken as well)} of a target.
    """
    source, kinds, _ = PARTS[OWN_STARTS if part == OWN else part]
    found, places = {RANDOM: (None, False)}, [(source or target, kinds)]
    if (part, target) == ("dogs", FIGURE_6[0]):
        places.append(FIGURE_6[1:])
    for source, kinds in places:
        for name in stages_of.names(sources[source], kinds):
            stage = f"pretext/{source}/{name}"
            whole = stages_of.kind_of(name) in stages_of.WITH_DECODER
            if whole and part != "similarity":
                found |= {name: (stage, True), name + ENCODER_ONLY: (stage, False)}
            else:
                found[name] = stage, False
    return found


def trainings(arg, part, target, images, starts):
    """{stage name: training} on one target from each of its starts."""
    settings, stages = FRACTIONS if part == "labels" else {part: arg.fraction}, {}
    for setting, fraction in settings.items():
        front = [part, target, setting] if part == "labels" else [part, target]
        for name, (parent, whole) in starts.items():
            compared = part != "similarity" and target in IN_DOMAIN and name in ORDERED
            more = max(arg.seeds, arg.domain_seeds) if compared else arg.seeds
            for seed in common.seeds(more):
                row = dict(setting=setting, target=target, source=name, seed=seed)
                row |= dict(role="target", baseline=RANDOM)
                drawn = stages_of.drawn(images, fraction, seed, arg.curve_images)
                place = "/".join((*front, name, f"seed{seed}"))
                stages[place] = stages_of.fine_tuning(arg, drawn, row, parent, whole)
    return stages
