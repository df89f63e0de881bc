import json
import os

import pytest

from jaxseg.core import errors, jsonl


def test_lines_come_back_in_order(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert jsonl.read(path) == []
    jsonl.append(path, {"step": 1})
    jsonl.append(path, {"step": 2, "text": "é\nzwei"})
    assert jsonl.read(path) == [{"step": 1}, {"step": 2, "text": "é\nzwei"}]


def test_a_line_cut_off_is_dropped(tmp_path):
    path = tmp_path / "rows.jsonl"
    jsonl.write(path, [{"step": 1}, {"step": 2}])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert jsonl.read(path) == ([{"step": 1}] if b"1}\n" in whole[:length] else [])


def test_a_reader_sees_the_old_or_the_new(tmp_path, monkeypatch):
    path = tmp_path / "value.json"
    jsonl.write_json(path, {"old": 1})
    seen = []

    def replace(scratch, target):
        seen.append(json.loads(path.read_text()))
        assert json.loads(scratch.read_text()) == {"new": 2}
        raise OSError("killed before the rename")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="killed"):
        jsonl.write_json(path, {"new": 2})
    assert seen == [{"old": 1}]
    assert jsonl.read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]  # no scratch left


def test_text_makes_its_folders(tmp_path):
    jsonl.write_text(tmp_path / "a" / "b.txt", "é")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "é".encode()


def test_not_json_names_the_file(tmp_path):
    path = tmp_path / "value.json"
    for content in (b"{", b"\xff\xfe{}"):
        path.write_bytes(content)
        with pytest.raises(errors.UserError, match=r"value\.json: not valid JSON"):
            jsonl.read_json(path)


def test_every_changed_byte_of_a_sealed_file_is_noticed(tmp_path):
    path = tmp_path / "manifest.json"
    value = {"name": "a", "lr": 0.003, "list": [1, 2.5, None, True], "é": {"x": "y"}}
    jsonl.write_sealed(path, value)
    whole = path.read_bytes()
    found = jsonl.read_sealed(path)
    assert {k: v for k, v in found.items() if k != "self"} == value
    changes = (1, 2, 4, 32, 128)  # one bit each, and a letter's case
    for place in range(len(whole)):
        for change in changes:
            damaged = bytearray(whole)
            damaged[place] ^= change
            path.write_bytes(damaged)
            with pytest.raises(errors.Damaged, match=r"manifest\.json: damaged"):
                jsonl.read_sealed(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b'{"a": 1}', b"null", b"\xff"])
def test_what_was_never_sealed_is_damaged(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(errors.Damaged, match="do this"):
        jsonl.read_sealed(path, fix="do this")


def test_cut_off_or_longer_sealed_files_are_damaged(tmp_path):
    path = tmp_path / "manifest.json"
    jsonl.write_sealed(path, {"a": 1})
    whole = path.read_bytes()
    for content in (
        *(whole[:n] for n in range(len(whole))),
        whole + b"\n",
        b" " + whole,
    ):
        path.write_bytes(content)
        with pytest.raises(errors.Damaged):
            jsonl.read_sealed(path)
