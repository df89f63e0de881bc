"""The folder that several processes write to."""

import pytest

from jaxseg.core import errors
from jaxseg.transfer import store
from jaxseg.transfer.running import everywhere
from tests import tiny


def test_a_workdir_that_a_process_does_not_see_is_refused(tmp_path):
    """As where each host has a disk of its own."""
    one, box = tiny.plan(tiny.config()).stages[0], store.Store(tmp_path)
    marker = box.running(one.key) / "marker"
    call = {"stage": one.name, "key": one.key, "roles": [], "lost": {}}
    call |= {"marker": str(marker)}
    given = {one.name: one}, box, call, tmp_path, lambda: False
    with pytest.raises(errors.UserError) as caught:
        everywhere._context(*given)
    text = f"{tmp_path}: process 0 does not find there what process 0 writes. Fix: a "
    assert str(caught.value).startswith(text + "--workdir that all hosts share")
    marker.mkdir(parents=True)
    assert everywhere._context(*given).folder == tmp_path / "artifact"
