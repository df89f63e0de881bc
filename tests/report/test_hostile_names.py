"""Names from data on the page: no markup, no mathematics, no hidden characters."""

import pytest

from jaxseg.core import text
from jaxseg.report import build
from tests.report import workdirs

NAMES = ["$x_{$", "cat\x1b[2J", "\u202egnp", "<b>&", "a\nb", "\0"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(tmp_path, name):
    made = workdirs.Workdir(tmp_path)
    start = made.done("source", 0.7, [workdirs.target(name, name, role="pretraining")])
    for source, value in ((name, 0.3), ("random", 0.2)):
        label = workdirs.target(name, source)
        made.cell(label, value, parents=[] if source == "random" else [start])
    report = build.build(made.plan())
    page = report.files["index.html"].read_text(encoding="utf-8")
    assert not [c for c in page if text.HIDDEN.match(c) and c not in text.LINES]
    assert report.text() and "<b>&" not in page
    shown = text.visible(name, keep="")
    if shown.isascii() and "<" not in shown:
        assert page.count(shown) > 2
