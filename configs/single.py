r"""One segmentation model from random weights: the hello world.

python -m jaxseg.main --config=configs/single.py
python -m jaxseg.main --config=configs/single.py:data=camvid/11,root=DIR,variant=w18
"""

from configs import common


def get_config(arg=""):
    """A minute on embedded data by default."""
    arg = common.parse(
        arg, data="worlds/driving_day", root="", variant="tiny", steps=400, batch=16
    )
    data = {"name": arg.data, "root": arg.root or None}
    stage = common.train(
        data,
        task={"name": "segmentation"},
        model=common.hrnet(arg.variant),
        steps=arg.steps,
        batch_size=arg.batch,
        eval_every=max(arg.steps // 4, 1),
        labels=[{"setting": "full", "target": arg.data, "role": "target"}],
    )
    return common.study("single", {"model": stage})
