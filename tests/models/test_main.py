"""`python -m jaxseg.models`."""

import re

import pytest

from jaxseg.core import lookup
from jaxseg.models import __main__ as command
from jaxseg.models import model


def run(capsys, *arguments):
    code = command.main(arguments)
    return code, *capsys.readouterr()


def test_backbones_with_their_cost(capsys):
    code, out, _ = run(capsys, "resnet/50", "unet", "--size=96x128")
    assert code == 0
    (line,) = re.findall("resnet/50 .*", out)
    flops = float(line.split()[2])
    # 4.1 G multiply-adds at 224x224, twice that in FLOPs, less what meets padding
    assert flops == pytest.approx(2 * 4.1 * (96 * 128) / 224**2, rel=0.1)
    assert "23,508,032" in line
    assert line.endswith("4 x 256  8 x 512  16 x 1024  32 x 2048")
    assert len(re.findall("^unet/", out, re.M)) == 4


def test_heads_on_a_backbone(capsys):
    code, out, _ = run(capsys, "--heads", "--backbone=unet/tiny", "--size=64x64")
    assert code == 0
    assert all(re.search(f"^{head} ", out, re.M) for head in lookup.names(model.HEADS))


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["resnt"], "Did you mean 'resnet'"),
        (["resnet/5"], "unknown resnet variant '5'"),
        (["--size=12"], "write HEIGHTxWIDTH"),
    ],
)
def test_mistakes(capsys, arguments, text):
    code, _, err = run(capsys, *arguments)
    assert code == 2 and text in err
