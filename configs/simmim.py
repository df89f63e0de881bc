r"""Masked images before segmentation with few labels (Branyicskai-Nagy; SimMIM study).

  python -m jaxseg.main --config=configs/simmim.py
  python -m jaxseg.main --config=configs/simmim.py:pretraining=1000+2000,seeds=5
  python -m jaxseg.main --config=configs/simmim.py:paper --plan
  python -m jaxseg.main --config=configs/simmim.py:paper,smoke

A ViT learns to fill masked patches of N images (2.1, `masked/N`), is or is not trained
on scenes in between (2.2, `classified/N`), and is fine-tuned on more and more pets with
their trimaps (`pets/...`), from random weights as well. Fewer images are always some of
the more, in pretraining and in fine-tuning; of the latter each repeat draws others. The
test images are the same everywhere.

By default all images are rendered: websearch for ILSVRC, six kinds of scenes for
Intel's, dogs for pets. The ViT is `small` with patches of 8 pixels; numbers of images,
epochs and rates are ours, as are, in `paper` too, all batch sizes (unstated), nested
draws, one pretraining for all repeats, and where dropout is: after the position
embedding, the attention's projection and both layers of the perceptron. In `paper`
steps of the schedules are read as epochs; "cross-entropy" of the reconstruction (2.1)
is taken as L1, as in SimMIM itself. The text mentions a class token, the head does not
read one: `class_token` adds it, and then the classifier reads its output.
"""

from configs import common

OWN_SEEDS = 1000  # of fine-tuning, from here: none begins as a pretraining does
# Starts, which report/studies/simmim.py reads: "random", "2000", "2000 + scenes".
RANDOM, CLASSIFIED = "random", " + scenes"
REBUILT = 64  # held-out images on which a pretraining is judged
EMBEDDED = dict(
    pretraining=(450, 1000, 2000),  # images; those of the paper are a hundred times
    images=(25, 50, 100, 200),  # a tenth of the paper's; with 400 there is time
    seeds=6,  # for 3 repeats, which leave S2 and S6 undecided
    test_images=300,  # 0: all
    variant="small",
    patch=8,
    size=64,
    ratio=0.5,
    class_token=False,
    dropout=0.1,
    # Of 10, 20 and 40 epochs (batches of 64, 16 and 16) and rates of .001 and .003 the
    # best by the held-out loss after 1000 images: .54, .54, .49; .488 and .486.
    pretraining_epochs=40,
    pretraining_batch=16,
    pretraining_lr=3e-3,
    scenes_images=2000,  # 0: all
    scenes_epochs=5,
    scenes_batch=32,
    scenes_lr=1e-3,
    epochs=15,
    batch=16,
    lr=2e-3,
)
PAPER = EMBEDDED | dict(
    seeds=3,
    pretraining=(45_000, 100_000, 200_000),
    images=(250, 500, 1000, 2000, 4000, 6000),
    test_images=0,
    variant="simmim",
    patch=16,
    size=128,
    pretraining_epochs=100,
    pretraining_batch=128,
    pretraining_lr=1e-4,
    scenes_images=0,
    scenes_epochs=200,
    scenes_batch=128,
    scenes_lr=8e-4,
    epochs=100,
)
COUNTS = [
    f"{of}{n}" for of in ("pretraining_", "scenes_", "") for n in ("epochs", "batch")
]
# What is masked, classified and segmented: (training, test or held-out).
SETS = dict(
    masked=(("worlds/websearch", "train"), ("worlds/websearch", "validation")),
    scenes=(("worlds/scenes_places", "train"), ("worlds/scenes_places", "validation")),
    pets=(("worlds/trimap_dogs", "train"), ("worlds/trimap_dogs", "validation")),
)
PAPER_SETS = dict(
    masked=(("ilsvrc/2012", "train"), ("ilsvrc/2012", "validation")),
    scenes=(("intel/6", "train"), ("intel/6", "test")),
    pets=(("pets/trimap", "random_train"), ("pets/trimap", "random_test")),
)
# Rates fall at these shares of a training (2.1, 2.2).
SCHEDULES = dict(
    masked=dict(name="step", at=[0.5, 0.85], factor=0.1),
    scenes=dict(name="step", at=[0.9, 0.95], factor=0.1),
    pets=dict(name="step", at=[0.7, 0.9, 0.95], factor=0.5),
)
DECAY = dict(masked=0.05, scenes=1e-4, pets=1e-4)  # of scenes as of pets
MIXUP = 0.2  # of scenes; unstated: as in the MixUp paper on ImageNet


def get_config(arg=""):
    """Arguments: sizes of the study; `paper`."""
    text, own = arg, dict(paper=False, smoke=False)
    arg = common.parse(text, **own, **EMBEDDED)
    if arg.paper:
        arg = common.parse(text, **own, **PAPER)
    check(arg)
    sets, stages = PAPER_SETS if arg.paper else SETS, {}
    for images in arg.pretraining:
        stages |= pretraining(arg, sets, images)
    starts = {RANDOM: None}
    starts |= {str(images): f"masked/{images}" for images in arg.pretraining}
    starts |= {
        f"{images}{CLASSIFIED}": f"classified/{images}" for images in arg.pretraining
    }
    for images in arg.images:
        for start, parent in starts.items():
            for seed in common.seeds(arg.seeds):
                name = f"pets/{images}/{start}/seed{seed}"
                stages[name] = fine_tuning(arg, sets, images, start, parent, seed)
    return common.study("simmim", stages, smoke=arg.smoke)


def check(arg):
    """ValueError on arguments that no study can have."""
    for name in ("pretraining", "images"):
        if not arg[name] or min(arg[name]) < 1 or list(arg[name]) != sorted(arg[name]):
            raise ValueError(
                f"{name}={'+'.join(map(str, arg[name]))}: allowed are rising numbers "
                "of images, from 1 on, for example 500+1000"
            )
    for name in COUNTS:
        if arg[name] < 1:
            raise ValueError(f"{name}={arg[name]}: allowed are 1 and more")
    for name in ("test_images", "scenes_images"):
        if arg[name] < 0:
            raise ValueError(f"{name}={arg[name]}: allowed are 0 (all) and more")
    if arg.patch < 1 or arg.size < arg.patch or arg.size % arg.patch:
        raise ValueError(
            f"size={arg.size}, patch={arg.patch}: allowed are sizes of whole patches"
        )


def pretraining(arg, sets, images):
    """The stages of a pretraining on so many images, of what it makes of held-out
    images (Fig. 1), and of the scenes between.
    """
    row = dict(role="source", source=RANDOM, seed=0)
    masked, scenes = f"masked/{images}", f"classified/{images}"
    train, held = (section(*one) for one in sets["masked"])
    judged = held | dict(count=few(held, REBUILT))
    return {
        masked: stage(
            arg,
            "masked",
            train | dict(count=images, augment="simmim_pretraining"),
            dict(name="simmim", patch=arg.patch, ratio=arg.ratio),
            dict(name="simmim"),
            common.steps(images, arg.pretraining_epochs, arg.pretraining_batch),
            batch_size=arg.pretraining_batch,
            lr=arg.pretraining_lr,
            evaluations=dict(test=judged),
            columns=[row | dict(target=f"masked, {images}")],
        ),
        f"rebuilt/{images}": dict(
            kind="measure",
            parents={"model": masked},
            analysis=dict(name="reconstructions", data=judged),
            columns=[dict(role="measure", target="masked", source=str(images))],
        ),
        scenes: classification(arg, sets["scenes"], masked)
        | dict(columns=[row | dict(target=f"scenes, {images}", source=str(images))]),
    }


def classification(arg, sets, parent):
    """A training on scenes from a pretraining (2.2)."""
    train, test = (section(*one) for one in sets)
    train |= dict(count=few(train, arg.scenes_images), augment="simmim_finetuning")
    known = train["count"] or common.splits(train["name"])[train["split"]]
    return stage(
        arg,
        "scenes",
        train,
        dict(name="classification"),
        common.POOLED,
        common.steps(known, arg.scenes_epochs, arg.scenes_batch),
        parent,
        batch_size=arg.scenes_batch,
        lr=arg.scenes_lr,
        mixup=MIXUP,
        evaluations=dict(test=test | dict(count=few(test, arg.test_images))),
    )


def fine_tuning(arg, sets, images, start, parent, seed):
    """A training on so many pets (2.2); of one repeat all starts share the draw, the
    order and the fresh weights.
    """
    train, test = (section(*one) for one in sets["pets"])
    row = dict(role="target", baseline=RANDOM, setting=f"{images} images")
    row |= dict(target="pets", source=start, seed=seed)
    return stage(
        arg,
        "pets",
        train | dict(count=images, seed=seed, augment="simmim_finetuning"),
        dict(name="segmentation"),
        dict(name="simmim"),
        common.steps(images, arg.epochs, arg.batch),
        parent,
        batch_size=arg.batch,
        lr=arg.lr,
        seed=OWN_SEEDS + seed,
        samples=4 if seed == 0 else 0,
        evaluations=dict(test=test | dict(count=few(test, arg.test_images))),
        columns=[row],
    )


def stage(arg, recipe, data, task, head, steps, parent=None, **more):
    """A training of the ViT; recipe: of SCHEDULES and DECAY."""
    fields = dict(
        variant=arg.variant,
        patch=arg.patch,
        image_size=arg.size,
        mask_token=True,  # fine-tuning too: what it starts from has the same leaves
        class_token=arg.class_token,
    )
    if recipe != "masked":
        fields |= dict(dropout=arg.dropout)
    if recipe == "scenes" and arg.class_token:
        fields |= dict(class_map=True)
    return common.train(
        data | dict(size=[arg.size] * 2),
        task=task,
        model=dict(backbone=dict(name="vit") | fields, head=head),
        steps=steps,
        parent=parent,
        optimizer=dict(name="adamw", weight_decay=DECAY[recipe]),
        schedule=SCHEDULES[recipe],
        headline="test",
        **dict(samples=0) | more,
    )


def section(name, split):
    """The section of a split of a data set."""
    return dict(name=name, split=split)


def few(data, most):
    """At most so many of a split's images; None: all."""
    known = common.splits(data["name"])[data["split"]]
    return most if 0 < most < (known or most + 1) else None
