"""Of one process; of two: tests/hosts."""

import jax
import numpy as np
import pytest

from jaxseg.core import errors, hosts


def test_a_process_alone_exchanges_nothing():
    tree = {"x": jax.numpy.arange(4)}
    with hosts.together():
        assert hosts.shard() == (0, 1)
        assert hosts.collected("name", 3) == [3] and hosts.own_share("abc") == "abc"
        assert type(hosts.fetched(tree)["x"]) is np.ndarray
        assert hosts.every(3) == [3] and hosts.first(lambda: (1, 2)) == (1, 2)
        for same in (hosts.gathered, hosts.own, hosts.whole, hosts.copied):
            assert same(tree) is tree


def test_errors_alone_stay_what_they_are():
    mine = errors.Diverged("x")
    for part in (hosts.together, hosts.agreeing):
        with pytest.raises(errors.Diverged) as caught, part():
            raise mine
        assert caught.value is mine
    with pytest.raises(KeyError):
        hosts.first(lambda: {}["a"])


def test_alone_it_stops_when_it_is_asked():
    asked = iter([False, True])
    stop = hosts.Stop(lambda: next(asked))
    assert [stop(1), stop(2)] == [False, True]


def test_the_exit_code_is_that_of_the_work():
    assert hosts.led(lambda: 3) == 3
    with pytest.raises(errors.UserError):
        hosts.led(lambda: (_ for _ in ()).throw(errors.UserError("x")))


def test_errors_of_others_keep_their_kind():
    damaged = hosts._unpacked(hosts._packed(errors.Damaged("a file")))
    assert type(damaged) is errors.Damaged and str(damaged) == "a file"
    unknown = hosts._unpacked(hosts._packed(KeyError("a")))
    assert type(unknown) is RuntimeError and str(unknown) == "KeyError: 'a'"


def test_arrays_of_one_process_are_not_cut():
    rows = np.arange(4)
    assert hosts.own({"x": rows})["x"] is rows
