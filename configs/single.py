r"""One segmentation model from random weights: the hello world.

python -m jaxseg.main --config=configs/single.py
python -m jaxseg.main --config=configs/single.py:data=camvid/11,root=DIR,variant=w18
"""

import ml_collections as mlc

from configs import common


def get_config(arg=""):
    """A minute on embedded data by default."""
    arg = common.parse(
        arg, data="worlds/driving_day", root="", variant="tiny", steps=400, batch=16
    )
    data = {"name": arg.data, "root": arg.root or None}
    c = mlc.ConfigDict()
    c.study = "single"
    c.stages = {
        "model": common.train(
            data,
            task={"name": "segmentation"},
            model=common.hrnet(arg.variant),
            steps=arg.steps,
            batch_size=arg.batch,
            eval_every=max(arg.steps // 4, 1),
            labels=[{"setting": "full", "target": arg.data, "role": "target"}],
        )
    }
    return c
