"""Names below a folder lead nowhere else, and to nothing that is waited for."""

import os
import pickle
import socket
from pathlib import Path

import pytest

from jaxseg.core import errors, image_files, paths


@pytest.fixture
def folder(tmp_path):
    """A root with a file, a folder and links in and out, beside another folder."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/secret.png").write_bytes(b"x")
    data = tmp_path / "data"
    (data / "a/b").mkdir(parents=True)
    (data / "a/1.png").write_bytes(b"1")
    (data / "in.png").symlink_to("a/1.png")
    (data / "out.png").symlink_to("../other/secret.png")
    (data / "far").symlink_to(tmp_path / "other")
    (data / "near").symlink_to("a")
    (data / "gone.png").symlink_to("nowhere.png")
    (data / "self").symlink_to("self")
    return data


INSIDE = ("a/1.png", "in.png", "a", "near/1.png", "a/../a/1.png", ".", "a/..b", "none")
INSIDE += ("gone.png", "self", "self/x", "a/1.png/x", "far/../data/a/1.png")
OUTSIDE = ("../other/secret.png", "a/../../other/secret.png", "out.png", "far", "..")
OUTSIDE += ("far/secret.png", "far/none.png", "/etc/passwd", "far/../x")


@pytest.mark.parametrize("name", INSIDE)
def test_what_lies_below_is_joined(folder, name):
    assert paths.root(folder) / name == folder / name
    assert (paths.root(folder) / name).exists() == (folder / name).exists()


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_lies_outside_is_refused_unless_allowed(folder, name):
    with pytest.raises(errors.UserError, match=r"outside of the folder.*Fix.*outside"):
        paths.root(folder) / name
    assert paths.root(folder, outside=True) / name == folder / name


def test_a_path_and_an_absolute_name_inside_are_joined(folder):
    found = paths.root(folder) / Path("a") / "1.png"
    assert found.read_bytes() == b"1"
    assert paths.root(folder) / str(folder / "a/1.png") == folder / "a/1.png"
    with pytest.raises(errors.UserError, match="outside of the folder"):
        paths.root(folder) / "a" / "../../other/secret.png"


def test_a_root_may_be_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    linked = paths.root(tmp_path / "link")
    assert (linked / "near/1.png").read_bytes() == b"1"
    assert (linked / str(folder / "in.png")).read_bytes() == b"1"
    with pytest.raises(errors.UserError, match="outside of the folder"):
        linked / "out.png"


def test_a_root_survives_pickling(folder):
    for outside in (False, True):
        again = pickle.loads(pickle.dumps(paths.root(folder, outside=outside) / "a"))
        assert again == folder / "a" and again.top.outside == outside
    with pytest.raises(errors.UserError, match="outside of the folder"):
        pickle.loads(pickle.dumps(paths.root(folder))) / "far"


@pytest.mark.parametrize("name", ["a\0b", "\ud800.png", "x" * 300, "x/" * 3000])
def test_what_cannot_be_a_name_is_refused(folder, name):
    for outside in (False, True):
        with pytest.raises(errors.UserError, match="Fix: correct"):
            paths.root(folder, outside=outside) / name


def test_what_would_be_waited_for_is_refused(folder):
    os.mkfifo(folder / "pipe.png")
    (folder / "linked.png").symlink_to("pipe.png")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(folder / "socket"))
    for name in ("pipe.png", "linked.png", "socket"):
        with pytest.raises(errors.UserError, match=r"named pipe|socket.*Fix"):
            paths.root(folder) / name
    with pytest.raises(errors.UserError, match=r"device.*Fix"):
        paths.root(folder, outside=True) / "/dev/zero"
    with pytest.raises(errors.UserError, match=r"named pipe.*Fix"):
        image_files.read(folder / "pipe.png")  # of `predict`, which has no root
