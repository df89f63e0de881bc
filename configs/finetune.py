r"""A model for your own images and masks, and the gain of the weights it starts from.

  python -m jaxseg.main --config=configs/finetune.py:data=DIR
  python -m jaxseg.main --config=configs/finetune.py:data=DIR,binary,mask_size=resize
  python -m jaxseg.main --config=configs/finetune.py:data=DIR,\
loss=cross_entropy+dice,auto_weights
  python -m jaxseg.main --config=configs/finetune.py:data=DIR,start=runs/x/artifacts/KEY
  python -m jaxseg.main --config=configs/finetune.py:data=DIR,\
backbone=resnet,variant=50,start=resnet50.safetensors,arch=resnet50
  python -m jaxseg.main --config=configs/finetune.py:data=DIR,dataset=camvid/11

DIR holds images and masks in two folders, and may hold train.txt and val.txt;
`python -m jaxseg.data show folder/segmentation` says what is understood. Without
`start` the model begins from random weights; with it, from that artifact's or published
file's backbone as well (`python -m jaxseg.weights --list` shows what `arch` takes), and
the report has the gain. `dataset` is a known data set that lies in DIR. `binary`: masks
of 0 and one other value, one output, IoU as the metric. `auto_weights`: rare classes
weigh more.

A fifth of the training images is held out and chooses which weights are kept; the
validation images are only reported. `choose=validation` trains on all and lets
validation choose, as papers do; the report then says so.
"""

from configs import common


def get_config(arg=""):
    """Arguments: where the data are, what masks mean, how large and how long."""
    arg = common.parse(
        arg,
        data="",
        dataset="folder/segmentation",
        start="",
        arch="",
        binary=False,
        loss=("cross_entropy",),
        auto_weights=False,
        mask_size="refuse",
        classes=("",),
        size=(128, 128),
        backbone="hrnet",
        variant="tiny",
        head="linear",
        steps=600,
        batch=16,
        lr=0.003,
        count=0,
        seeds=1,
        choose="holdout",
        smoke=False,
    )
    if arg.choose not in ("holdout", "validation"):
        allowed = "holdout and validation"
        raise ValueError(f"choose={arg.choose!r}: allowed are {allowed}")
    if not arg.data:
        raise ValueError("data=DIR is missing: the folder of your images and masks")
    if arg.dataset.startswith("folder/"):  # known sets are planned without their files
        common.folder(arg.data, "data")
    stages = {}
    if arg.start:
        stages["start"] = common.imported(arg.start, arch=arg.arch or None)
    for seed in common.seeds(arg.seeds):
        for name in ["random", "start"] if arg.start else ["random"]:
            stages[f"model/from_{name}/seed{seed}"] = model(arg, name, seed)
    return common.study("finetune", stages, smoke=arg.smoke)


def model(arg, start, seed):
    """Training with an evaluation every tenth; the best of them is kept."""
    evaluations = dict(validation={})
    if arg.choose == "holdout":
        evaluations["holdout"] = dict(split="train", part="holdout")
    options = {}
    if arg.dataset.startswith("folder/"):
        options["binary"] = arg.binary
        options["mask_size"] = arg.mask_size
        if any(arg.classes):
            options["classes"] = list(arg.classes)
    row = dict(setting="own", target="own", source=start, baseline="random")
    return common.train(
        dict(
            name=arg.dataset,
            root=arg.data,
            size=list(arg.size),
            count=arg.count or None,
            seed=seed,
            part="train" if arg.choose == "holdout" else "all",
            options=options,
        ),
        task=dict(
            name="segmentation",
            binary=arg.binary,
            losses=dict.fromkeys(arg.loss, 1.0),
            class_weights="auto" if arg.auto_weights else None,
        ),
        model=dict(
            backbone=dict(name=arg.backbone, variant=arg.variant),
            head=dict(name=arg.head),
        ),
        steps=arg.steps,
        batch_size=arg.batch,
        lr=arg.lr,
        seed=seed,
        eval_every=None,
        keep="best",
        evaluations=evaluations,
        choose_by=arg.choose,
        parent=None if start == "random" else start,
        columns=[row | dict(role="target")],
    )
