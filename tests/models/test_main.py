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
    cost = {line.split()[0]: line.split()[1:3] for line in out.splitlines()[2:]}
    assert cost.keys() == set(lookup.names(model.HEADS))
    assert all(float(flops) >= 0 for _, flops in cost.values())
    # 20 classes from (4 + 8 + 8) channels, or the last 8 pooled
    assert cost["linear"][0] == str((4 + 8 + 8) * 20 + 20)
    assert cost["pooled"][0] == str(8 * 20 + 20)


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
