import errno
import json
import os
import signal
import subprocess
import sys

import pytest

from jaxseg.core import errors, jsonl
from jaxseg.transfer import store

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def box(tmp_path):
    return store.Store(tmp_path)


def make(box, key=KEY, **files):
    """A finished artifact with these files."""
    folder = box.start(key)
    (folder / "weights").mkdir()
    for name, text in ({"weights/w": "1234", "rows.jsonl": "{}\n"} | files).items():
        (folder / name).write_text(text)
    box.finish(key, {"schema": 1, "key": key, "name": "x", "metrics": []})
    return box.folder(key)


def test_an_artifact_is_there_when_it_is_finished(box):
    assert not box.done(KEY) and box.stored() == []
    folder = box.start(KEY)
    assert not box.done(KEY)
    (folder / "a").write_text("abc")
    assert not box.done(KEY)
    box.finish(KEY, {"schema": 1, "key": KEY})
    assert box.done(KEY) and box.stored() == [KEY[:20]]
    assert box.folder(KEY) == box.workdir / "artifacts" / KEY[:20]
    assert not box.running(KEY).exists()
    manifest = box.manifest(KEY)
    assert list(manifest["files"]) == ["a"] and manifest["key"] == KEY
    box.verify(KEY)


def test_it_appears_whole(box, monkeypatch):
    """Files and sums are complete before the one rename; after it nothing is added."""
    seen = []
    rename = os.rename

    def look(source, target):
        seen.append(sorted(path.name for path in source.iterdir()))
        assert not box.done(KEY)
        rename(source, target)

    monkeypatch.setattr(os, "rename", look)
    make(box)
    assert seen == [["manifest.json", "rows.jsonl", "weights"]]


def test_all_is_on_the_disk_before_the_manifest_and_that_before_the_rename(
    box, monkeypatch
):
    synced, fsync, rename = [], os.fsync, os.rename

    def noted(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "rename", lambda *paths: synced.append(rename(*paths)))
    folder = make(box)
    own = {path.name: path.stat().st_ino for path in [folder, *folder.rglob("*")]}
    before, after = synced[: synced.index(None)], synced[synced.index(None) + 1 :]
    assert before[-2:] == [own["manifest.json"], own[folder.name]]
    names = ("weights", "w", "rows.jsonl", folder.name)
    assert set(before[:-2]) == {own[name] for name in names}
    assert after == [path.stat().st_ino for path in (folder.parent, box.workdir)]


def test_a_kill_before_the_rename_leaves_no_artifact(box, monkeypatch):
    def killed(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            make(box)
    assert not box.done(KEY) and box.stored() == []
    (box.start(KEY) / "weights" / "w").write_text("5678")
    box.finish(KEY, {"schema": 1, "key": KEY})
    box.verify(KEY)


def test_a_folder_without_a_manifest_is_not_done_and_is_replaced(box):
    folder = make(box)
    (folder / "manifest.json").unlink()
    (folder / "left.txt").write_text("left over")
    assert not box.done(KEY) and box.stored() == []
    with pytest.raises(errors.UserError, match=r"not an artifact.*artifacts remove"):
        box.manifest(KEY)
    make(box)
    assert box.done(KEY) and not (folder / "left.txt").exists()


def test_a_flipped_byte_in_each_file_is_named(box):
    folder = make(box)
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        whole = path.read_bytes()
        for place in range(len(whole)):
            damaged = bytearray(whole)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(errors.Damaged) as caught:
                box.verify(KEY)
            assert str(path) in str(caught.value)
        assert f"artifacts remove {KEY[:20]}" in str(caught.value)
        path.write_bytes(whole)
    box.verify(KEY)


def test_a_missing_file_is_named_and_weights_may_be_left_out(box):
    folder = make(box)
    (folder / "weights" / "w").unlink()
    with pytest.raises(errors.Damaged, match=r"weights/w: damaged.*no such file"):
        box.verify(KEY)
    with pytest.raises(errors.Damaged, match=r"weights/w: damaged.*no such file"):
        box.verify(KEY, weights=False)
    (folder / "weights" / "w").write_text("5678")
    box.verify(KEY, weights=False)
    (folder / "rows.jsonl").unlink()
    with pytest.raises(errors.Damaged, match=r"rows\.jsonl"):
        box.verify(KEY, weights=False)


def test_another_schema_is_refused(box):
    folder = make(box)
    jsonl.write_sealed(folder / "manifest.json", {"schema": 2, "files": {}})
    with pytest.raises(errors.UserError, match="schema 2, this version reads 1"):
        box.manifest(KEY)


def test_why_a_stage_failed_is_kept_until_it_is_tried_again(box):
    assert box.failure(KEY) is None
    box.start(KEY)
    box.fail(KEY, "loss is nan")
    found = box.failure(KEY)
    assert (found["error"], found["state"]) == ("loss is nan", "failed")
    assert box.diverged(KEY) is None and box.unfinished() == [KEY[:20]]
    box.fail(KEY, "loss is inf", "diverged")
    assert box.diverged(KEY) == "loss is inf"
    box.start(KEY)
    assert box.failure(KEY) is None and box.diverged(KEY) is None


def test_remove(box):
    folder = make(box)
    make(box, OTHER)
    box.start(KEY)
    box.remove(KEY)
    assert not folder.exists() and not box.running(KEY).exists()
    assert box.stored() == [OTHER[:20]]
    box.remove(KEY)  # twice is no mistake


HOLD = """
import sys, time
from jaxseg.transfer import store
with store.Store(sys.argv[1]).lock("main", "a run"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_holder_and_ends_with_it(box):
    command = [sys.executable, "-c", HOLD, str(box.workdir)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(errors.UserError) as caught,
            box.lock("main", "a run"),
        ):
            pass
        text = str(caught.value)
        assert f"a run is already under way (process {holder.pid} on" in text
        assert "another --workdir" in text and str(box.workdir) in text
        with box.lock("other", "stage x"):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with box.lock("main", "a run"):  # what a killed process held is free
        pass
    with box.lock("main", "a run"):
        pass


@pytest.mark.parametrize(
    "number, text",
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "no permission to write"),
        (errno.ENOTDIR, "a part of this path is a file"),
    ],
)
def test_what_the_disk_refuses_is_one_message(tmp_path, number, text):
    with pytest.raises(errors.UserError) as caught, store.writable(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "file"))
    assert str(tmp_path / "file") in str(caught.value)
    assert text in str(caught.value) and "Fix:" in str(caught.value)


def test_a_file_elsewhere_is_not_blamed_on_the_workdir(tmp_path):
    with pytest.raises(errors.UserError) as caught, store.writable(tmp_path / "w"):
        raise OSError(errno.EACCES, "Permission denied", str(tmp_path / "mask.png"))
    assert str(caught.value) == f"{tmp_path / 'mask.png'}: Permission denied."


def test_other_errors_of_the_system_are_not_dressed_up(tmp_path):
    with pytest.raises(FileNotFoundError), store.writable(tmp_path):
        (tmp_path / "not there").read_text()


def test_a_full_disk_leaves_no_artifact(box, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            make(box)
    assert not box.done(KEY) and box.stored() == []
    assert not list(box.workdir.rglob("manifest.json"))
    assert not list(box.workdir.rglob("*.tmp"))


def test_a_workdir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(errors.UserError, match="another --workdir"),
        store.Store(tmp_path / "file").lock("main", "a run"),
    ):
        pass


def test_size(box):
    folder = make(box)
    expected = sum(len(p.read_bytes()) for p in folder.rglob("*") if p.is_file())
    assert store.size(folder) == expected > 0


def test_the_manifest_is_sorted_json(box):
    text = (make(box) / "manifest.json").read_text()
    assert list(json.loads(text)) == sorted(json.loads(text))
