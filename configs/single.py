r"""One model, trained from random weights: the smallest config.

python -m jaxseg.main --config=configs/single.py
python -m jaxseg.main --config=configs/single.py:task=detection
python -m jaxseg.main --config=configs/single.py:data=camvid/11,root=DIR,variant=w18
"""

from configs import common


def get_config(arg=""):
    """A minute on embedded data by default."""
    arg = common.parse(
        arg,
        data="worlds/driving_day",
        root="",
        task="segmentation",
        variant="tiny",
        steps=400,
        batch=16,
        lr=0.003,
        count=0,
        smoke=False,
    )
    data = {"name": arg.data, "root": arg.root or None, "count": arg.count or None}
    stage = common.train(
        data,
        task={"name": arg.task},
        model=common.model(arg.variant, arg.task),
        lr=arg.lr,
        steps=arg.steps,
        batch_size=arg.batch,
        eval_every=None,
        columns=[{"setting": "full", "target": arg.data, "role": "target"}],
    )
    return common.study("single", {"model": stage}, smoke=arg.smoke)
