"""Seconds of `--plan` of a study with many stages, as a user waits for them.

python tests/bench/bench_plan.py [STAGES]

The demo's stages and as many trainings more, which start from one source and differ in
their seed. The aim is 6 s for 5,000.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from configs import factors


def config(count):
    """A study of so many stages, as plain data."""
    stages = factors.get_config("seeds=1").to_dict()["stages"]
    training = [one for one in stages.values() if one["kind"] == "train"][-1]
    more = range(count - len(stages))
    stages |= {f"more/{i}": {**training, "seed": 1000 + i} for i in more}
    return {"study": "bench", "stages": stages}


def main(count=5000):
    with tempfile.TemporaryDirectory() as folder:
        data, file = Path(folder) / "config.json", Path(folder) / "config.py"
        data.write_text(json.dumps(config(count)))
        file.write_text(
            "import json\n\ndef get_config(arg):\n"
            f"    return json.load(open({str(data)!r}))\n"
        )
        command = [sys.executable, "-m", "jaxseg.main", f"--config={file}", "--plan"]
        for _ in range(3):
            start = time.perf_counter()
            plan = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{time.perf_counter() - start:.1f} s", plan.stdout.splitlines()[-1])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
