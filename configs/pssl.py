r"""End-to-end pretraining on pseudo semantic labels (Li et al. 2023; PSSL).

  python -m jaxseg.main --config=configs/pssl.py
  python -m jaxseg.main --config=configs/pssl.py:models=PSPNet,targets=CamVid,seeds=5
  python -m jaxseg.main --config=configs/pssl.py:paper --plan
  python -m jaxseg.main --config=configs/pssl.py:paper,smoke

Classifiers explain their training images (3); the tenth of the pixels on which they
agree most has the class of its image, the rest is background. Segmentation networks
learn these labels (`pretrained/...`) and are fine-tuned, all but the last layer from
there ("PSSL"), or the backbone alone from a classifier ("ImageNet"). Each training of
Tables 3 and 4 walks to its own peak rate, judged on a held-out fifth, and is then
trained on all. Tables 1 and 2 and the ablations are of DeepLabV3 on a ResNet, at one
rate.

By default all images are rendered: websearch_aside for ILSVRC, whose things are not in
the middle. Networks are `tiny`; numbers of images, epochs, classifiers and rates are
ours, and AdamW is in the place of SGD. So are, in `paper` too, since it does not say:
SGD with momentum everywhere, random weights to begin the pretraining with, the
classifiers and their recipe, noise and samples of SmoothGrad, the scales of the
evaluation, the rate of Tables 1 and 2 and how many samples the ablations have.
"""

from configs import _pssl_models as models_of
from configs import _pssl_sets as sets_of
from configs import common

IMAGENET, PSSL, TWICE = "ImageNet", "PSSL", "PSSL, twice the epochs"
OWN_SEEDS = 1000  # of fine-tuning, from here: none begins as a classifier does
BACKGROUND = 0.1  # its weight where nothing else is said (4.2)
ABLATED, COMPARED = "DeepLabV3-ResNet", "VOC-A"  # of Tables 1 and 2
LONGER = "PSPNet"  # of Table 4
TAKEN = {part: part for part in ("backbone", "heads_segmentation")}
LAST = [r"heads_segmentation/(coarse_)?output/.*"]
# Options of `deciles/shards` (4.1).
ABLATIONS = {
    "D8 ignored": dict(ignored=[8]),
    "all below D9 ignored": dict(ignored=[*range(9)]),
    "D8 as foreground": dict(foreground=[8, 9]),
}
EMBEDDED = dict(
    models=("PSPNet", "DeepLabV3", "OCRNet"),
    targets=("CamVid", "VOC-A", "VOC-C", "ADE20K", "Cityscapes"),
    seeds=1,  # of Table 3
    lengths=3,  # seeds of Table 4
    repeats=6,  # of Tables 1 and 2
    classifiers=1,  # of each backbone
    images=2000,  # of classifiers; 0: all
    optimizer="adamw",  # of all; with SGD classifiers learn nothing in these steps
    classifier_epochs=10,
    classifier_batch=32,
    classifier_lr=3e-3,
    noise_samples=8,
    # With .1, .04, .02, .01 and 0 the top decile of the consensus has an IoU of .08,
    # .24, .26, .26 and .25 with objects, a disc in the middle .18 (96 images).
    noise=0.02,
    judged=200,  # images with masks, on which maps are compared with a disc
    samples=(250, 500, 1000, 2000),  # of Table 2; the most are those of Tables 3 and 4
    weighed=(1000,),  # of Table 1
    weights=(0.001, 0.01, 0.1, 1.0),
    ablated=1000,
    epochs=5,
    batch=16,
    lr=3e-3,
    size=64,
    tuning_epochs=15,
    tuning_batch=8,
    tested=100,  # images of a target; 0: all
    rates=(1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2),
    # Of walks, and the rate of Tables 1 and 2. Below 5e-3 some networks have learned
    # nothing yet in these steps; a walk that begins there stops at a peak of noise.
    start=1e-2,
    scales=(1.0, 1.5),
    flip=False,
)
PAPER = EMBEDDED | dict(
    lengths=1,
    repeats=1,
    classifiers=5,
    images=0,
    optimizer="sgd",
    classifier_epochs=100,
    classifier_batch=256,
    classifier_lr=0.1,
    noise_samples=15,
    noise=0.1,
    tested=0,
    samples=(50_000, 200_000, 500_000, 1_000_000),
    weighed=(50_000, 500_000),
    ablated=500_000,
    epochs=30,
    batch=64,
    lr=1e-2,
    size=256,
    tuning_epochs=100,
    tuning_batch=16,
    rates=(1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2),
    scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75),
    flip=True,
)


def get_config(arg=""):
    """Arguments: models, targets and sizes of the study; `paper`."""
    text, own = arg, dict(paper=False, smoke=False)
    arg = common.parse(text, **own, **EMBEDDED)
    if arg.paper:
        arg = common.parse(text, **own, **PAPER)
    check(arg)
    stages = {}
    for backbone in dict.fromkeys(
        models_of.MODELS[name][0] for name in (*arg.models, ABLATED)
    ):
        for seed in range(arg.classifiers):
            stages[f"classifier/{backbone}/{seed}"] = classifier(arg, backbone, seed)
    known = {name.replace("/", "_"): name for name in stages}
    stages |= explained(arg, known)
    stages |= tuned_each(arg) | compared(arg)
    return common.study("pssl", stages, smoke=arg.smoke)


def check(arg):
    """ValueError on arguments that no study can have."""
    for name, table in (("models", models_of.MODELS), ("targets", sets_of.TARGETS)):
        for one in arg[name]:
            if one not in table:
                raise common.unknown(name.removesuffix("s"), one, table)
    for name in ("seeds", "lengths", "repeats", "classifiers"):
        common.seeds(arg[name], name)
    if not arg.samples or list(arg.samples) != sorted(arg.samples):
        raise ValueError(f"samples={list(arg.samples)}: allowed are rising numbers")
    for name, counts in (("weighed", arg.weighed), ("ablated", [arg.ablated])):
        for count in counts:
            if count not in arg.samples:
                known = list(arg.samples)
                raise ValueError(f"{name}: found {count}, allowed: samples={known}")
    if arg.start not in arg.rates:
        raise ValueError(f"start={arg.start}: allowed are rates={list(arg.rates)}")


def sets(arg):
    """What is classified, explained and judged."""
    return sets_of.PAPER if arg.paper else sets_of.EMBEDDED


def targets(arg):
    """What is fine-tuned on, by name."""
    return sets_of.PAPER_TARGETS if arg.paper else sets_of.TARGETS


def classifier(arg, backbone, seed):
    """One of those that explain images; the first is a start of fine-tunings."""
    images, test = sets(arg)["classified"]
    count = arg.images or None
    known = count or common.splits(images["name"])["train"]
    columns = [dict(role="source", target="classification", source=backbone)]
    return common.train(
        images | dict(count=count, size=[arg.size] * 2, augment=sets(arg)["augment"]),
        task=dict(name="classification"),
        model=dict(backbone=models_of.backbone_of(arg, backbone), head=common.POOLED),
        steps=common.steps(known, arg.classifier_epochs, arg.classifier_batch),
        batch_size=arg.classifier_batch,
        lr=arg.classifier_lr,
        optimizer=optimizer(arg),
        schedule=dict(name="cosine"),
        seed=seed,
        evaluations=dict(test=test),
        headline="test",
        samples=0,
        columns=columns if seed == 0 else [],
    )


def optimizer(arg, decay=1e-4):
    """The section of all optimizers; the momentum is ours."""
    momentum = dict(momentum=0.9) if arg.optimizer == "sgd" else {}
    return dict(name=arg.optimizer, weight_decay=decay) | momentum


def explained(arg, classifiers):
    """The pseudo labels (3), and how well the maps find objects (P7)."""
    method = dict(name="smoothgrad", samples=arg.noise_samples, noise=arg.noise)
    images = sets(arg)["classified"][0] | dict(count=arg.samples[-1])
    both = dict(parents=classifiers)
    made = dict(kind="pseudo", data=images, method=method) | both
    stages = {"pseudo": made | dict(stored="jpeg" if arg.paper else "png")}
    masks = sets(arg)["masks"]
    if masks:
        found = dict(name="consensus", data=masks, method=method)
        stages["consensus"] = both | dict(
            kind="measure",
            analysis=found | dict(count=arg.judged),
            columns=[dict(role="measure")],
        )
    return stages


def pretraining(arg, model, samples, weight=BACKGROUND, ablation=None, longer=1):
    """A training of a whole segmentation network on pseudo labels (5.2)."""
    classes = len(common.classes(sets(arg)["classified"][0]["name"]))
    data = dict(
        of="labels", count=samples, size=[arg.size] * 2, augment=sets(arg)["augment"]
    )
    return common.train(
        data | (dict(options=ABLATIONS[ablation]) if ablation else {}),
        task=dict(name="segmentation", class_weights=[weight] + [1.0] * classes),
        model=models_of.network(arg, model),
        steps=common.steps(samples, longer * arg.epochs, arg.batch),
        batch_size=arg.batch,
        lr=arg.lr,
        optimizer=optimizer(arg),
        schedule=dict(name="step", at=[2 / 3 / longer], factor=0.1),
        evaluations={},
        headline=None,
        samples=0,
    ) | dict(parents={"labels": "pseudo"})


def fine_tuning(arg, target, model, parent, lr, seed, held):
    """A training on a target (5.4), from a classifier's backbone or a pretraining.

    held: a fifth of the images judges the rate and is not trained on.
    """
    own = targets(arg)[target]
    train = own["train"] | dict(
        size=own["size"] or [arg.size] * 2, augment=sets(arg)["augment"]
    )
    count = train.get("count") or common.splits(train["name"])[train["split"]]
    epochs = sets_of.LONGEST.get((target, model), own["epochs"]) if arg.paper else 0
    scales = dict(mode="whole", scales=list(arg.scales), flip=arg.flip)
    few = dict(count=arg.tested) if arg.tested else {}
    evaluations = dict(validation=own["test"] | few | dict(protocol=scales))
    if held:
        evaluations["holdout"] = dict(split=train["split"], part="holdout")
        train |= dict(part="train")
    start = dict(
        parent="start",
        take=dict(backbone="backbone"),
        allow=list(models_of.MODELS[model][1]),
    )
    if parent.startswith("pretrained/"):
        start |= dict(take=TAKEN, reinit=LAST)
    return common.train(
        train,
        task=dict(name="segmentation"),
        model=models_of.network(arg, model),
        steps=common.steps(count, epochs or arg.tuning_epochs, arg.tuning_batch),
        batch_size=arg.tuning_batch,
        lr=lr,
        optimizer=optimizer(arg, own["decay"]),
        schedule=dict(name="poly"),
        seed=OWN_SEEDS + seed,
        evaluations=evaluations,
        samples=4 if seed == 0 else 0,
        starts=[start],
    ) | dict(parents=dict(start=parent))


def tuned_each(arg):
    """Tables 3 and 4: each model on each target, from both starts, each training at the
    peak of its own walk over rates.
    """
    stages, walks = {}, {}
    for model in arg.models:
        starts = {IMAGENET: f"classifier/{models_of.MODELS[model][0]}/0"}
        starts[PSSL] = f"pretrained/{model}"
        stages[starts[PSSL]] = pretraining(arg, model, arg.samples[-1])
        if model == LONGER:
            starts[TWICE] = f"pretrained/{model}/twice"
            twice = pretraining(arg, model, arg.samples[-1], longer=2)
            stages[starts[TWICE]] = twice
            for source in (PSSL, TWICE):
                stages[f"votes/{source}"] = votes(arg, starts[source], source)
            stages["shown"] = shown(arg, starts[PSSL])
        for target in arg.targets:
            for source, parent in starts.items():
                both = (model, target) == (LONGER, COMPARED) and source != IMAGENET
                if source != TWICE or both:
                    for seed in common.seeds(arg.lengths if both else arg.seeds):
                        row = cell(model, target, source, seed)
                        walks |= walk(arg, row, model, parent)
    return stages | walks


def votes(arg, parent, source):
    """A pretrained network judged as a classifier (6.1)."""
    test = sets(arg)["classified"][1]
    return dict(
        kind="measure",
        parents={"model": parent},
        analysis=dict(name="pixel_vote", data=test),
        columns=[dict(role="measure", source=source)],
    )


def shown(arg, parent):
    """What a pretrained network makes of images of a target (6.2, Fig. 3)."""
    return dict(
        kind="measure",
        parents={"model": parent},
        analysis=dict(
            name="predictions", data=targets(arg)[COMPARED]["test"], also="person"
        ),
        columns=[dict(role="measure", target=COMPARED)],
    )


def walk(arg, row, model, parent):
    """{stage name: section}: a training at each rate, and the choice among them."""
    target, seed = row["target"], row["seed"]
    name = f"tuned/{model}/{target}/{row['source']}/seed{seed}"
    every = {
        f"{name}/lr{common.rate(lr)}": fine_tuning(
            arg, target, model, parent, lr, seed, True
        )
        | dict(store="metrics")
        for lr in arg.rates
    }
    start = f"{name}/lr{common.rate(arg.start)}"
    return every | {name: common.select(every, start=start, columns=[row])}


def compared(arg):
    """Tables 1 and 2 and the ablations: one model, target and rate."""
    cells = {}
    for samples in arg.samples:
        cells[samples, BACKGROUND, None] = []
    for samples in arg.weighed:
        cells |= {(samples, weight, None): [] for weight in arg.weights}
    for name in ABLATIONS:
        cells[arg.ablated, BACKGROUND, name] = []
    parents, stages = {IMAGENET: f"classifier/{models_of.MODELS[ABLATED][0]}/0"}, {}
    for samples, weight, ablation in cells:
        source = f"{samples} samples, {ablation or f'background {weight:g}'}"
        short = f"{samples}/{ablation or common.rate(weight)}"
        parents[source] = f"pretrained/{ABLATED}/{short}"
        own = pretraining(arg, ABLATED, samples, weight, ablation)
        stages[parents[source]] = own
    for source, parent in parents.items():
        for seed in common.seeds(arg.repeats):
            tuned = (ABLATED, COMPARED, source, seed)
            short = parent.removeprefix(f"pretrained/{ABLATED}/")
            name = f"tuned/{ABLATED}/{COMPARED}/{short}/seed{seed}"
            own = fine_tuning(arg, COMPARED, ABLATED, parent, arg.start, seed, False)
            stages[name] = own | dict(columns=[cell(*tuned)])
    return stages


def cell(model, target, source, seed):
    """The columns of a fine-tuning."""
    row = dict(setting=model, target=target, source=source, seed=seed)
    return row | dict(role="target", baseline=IMAGENET)
