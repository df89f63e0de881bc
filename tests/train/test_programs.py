from jaxseg.train import programs
from jaxseg.transfer import stage

SECTION = dict(
    kind="train",
    data={"name": "worlds/driving_day"},
    task={"name": "segmentation"},
    model={
        "backbone": {"name": "hrnet", "variant": "tiny"},
        "head": {"name": "linear"},
    },
    steps=2,
)


def program(**changes):
    bound = stage.bind("x", SECTION | changes)
    spec = stage.resolve("x", bound, {}).spec
    return programs.train_program(spec, spec.task, 6)


def test_what_changes_no_program_shares_it():
    first = program()
    assert program() is first
    for changes in (
        dict(lr=0.5),
        dict(steps=9, schedule={"name": "poly"}),
        dict(data={"name": "worlds/indoor_home", "count": 4}),
        dict(seed=3, batch_size=4),  # batch shapes are told apart when compiling
        dict(eval_every=1, keep="best", samples=0, run={"log_every": 3}),
    ):
        assert program(**changes) is first


def test_what_changes_the_computation_does_not():
    first = program()
    for changes in (
        dict(optimizer={"name": "sgd"}),
        dict(optimizer={"name": "adam", "weight_decay": 0.1}),
        dict(accumulate=2),
        dict(ema=0.9),
        dict(lr_multipliers=[["backbone/.*", 0]]),
        dict(task={"name": "segmentation", "ignored": [0]}),
        dict(model=SECTION["model"] | {"dtype": "bfloat16"}),
    ):
        assert program(**changes) is not first
    bound = stage.bind("x", SECTION)
    spec = stage.resolve("x", bound, {}).spec
    assert programs.train_program(spec, spec.task, 7) is not first
