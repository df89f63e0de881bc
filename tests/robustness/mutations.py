"""Damage to a tree of files as people and machines do it: `mutate` does one thing."""

import contextlib
import io
import json
import os
import re
import shutil
from pathlib import Path

import msgpack
import numpy as np
import scipy.io
from PIL import Image

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif")
TEXTS = (".txt", ".csv", ".tsv", ".xml", ".yaml", ".json")
HUGE = 10**400
VALUES = [0, -1, 1, 255, 65535, 2**31, 2**63, -(2**70), 10**30, HUGE, 1.5, -0.5, 1e308]
VALUES += [float("nan"), float("inf"), -float("inf"), None, True, False, "", " ", "²"]
VALUES += ["٣", "1_0", "0x10", "1e3", "+1", "nan", "dog", "café", "\ud800", "a\0b"]
VALUES += ["a\nb", "../../../etc/passwd", "/etc/passwd", ".", "$x_{", "\x1b[31m"]
VALUES += ["‮gpj", "x" * 5000, "9" * 5000, [], {}, [[[]]], [1, 2], {"a": 1}]
NAMES = [b"\xff\xfe", "²".encode(), b"a\nb", b"$x_{", b"\x1b[31m", b"a b", b"-x", b"'"]
NAMES += ["‮".encode(), b"x" * 200, "ﬁ".encode(), b"a,b", b"1", b"%s", b"{}", b"9" * 40]
JUNK = [
    b"",
    b"\0",
    b"\xff\xfe",
    b"\n",
    b"[",
    b"{}",
    b"[]",
    b"null",
    b"1",
    b"\xef\xbb\xbf",
]
JUNK += [b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b"<a/>", b"a,a\n1,2", b"NaN"]
BOMB = b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><annotation>&d;</annotation>'


def mutate(root, rng):
    """Damages one file below root; what was done, and the name of the file."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    path = files[rng.choice(len(files), p=_weights(files))]
    # Values hidden in a structure find most; each kind of file has also all the rest.
    ways = list(WAYS)
    own = _structured(path)
    ways += [own] * len(ways) if own else []
    way = ways[rng.integers(len(ways))]
    way(path, rng, root)
    return f"{way.__name__.strip('_')} {path.relative_to(root)}", path


def _weights(files):
    """Half of the time a file that is no image, where there is one."""
    image = np.array([path.suffix.lower() in IMAGES for path in files])
    weights = np.where(image, 0.5 / max(1, image.sum()), 0.5 / max(1, (~image).sum()))
    return weights / weights.sum()


def _structured(path):
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _json
    if suffix in TEXTS:
        return _text
    if suffix in IMAGES:
        return _image
    return {".mat": _mat, ".npy": _npy, ".parquet": _parquet}.get(
        suffix, _array_record if ".array_record" in path.name else None
    )


def pick(options, rng):
    return options[rng.integers(len(options))]


# Any file.


def _truncate(path, rng, root):
    data = path.read_bytes()
    path.write_bytes(data[: rng.integers(len(data) + 1)])


def _flip(path, rng, root):
    data = bytearray(path.read_bytes())
    for _ in range(pick([1, 1, 2, 8, 64], rng)):
        if data:
            data[rng.integers(len(data))] = rng.integers(256)
    path.write_bytes(data)


def _insert(path, rng, root):
    data = path.read_bytes()
    place = pick([0, len(data), int(rng.integers(len(data) + 1))], rng)
    path.write_bytes(data[:place] + pick(JUNK, rng) + data[place:])


def _junk(path, rng, root):
    path.write_bytes(pick([*JUNK, BOMB, rng.bytes(200)], rng))


def _npz(path, rng, root):
    with path.open("wb") as file:
        np.savez(file, a=np.ones((12, 16), np.float32))


def _other(path, rng, root):
    """The content of another file."""
    others = [each for each in path.parent.rglob("*") if each.is_file()]
    path.write_bytes(pick(sorted(others), rng).read_bytes())


def _remove(path, rng, root):
    path.unlink()


def _folder(path, rng, root):
    path.unlink()
    path.mkdir()


def _link(path, rng, root):
    """To itself, to nothing or to a folder."""
    path.unlink()
    path.symlink_to(pick([path, path.parent / "nothing", path.parent], rng))


def _rename(path, rng, root):
    """Of the file or of its folder, keeping the ending or not."""
    if rng.integers(3) == 0 and path.parent != root:
        path = path.parent
    suffix = pick(
        [os.fsencode(path.suffix), os.fsencode(path.suffix).upper(), b""], rng
    )
    name = pick([*NAMES, os.fsencode(path.stem) + b"\xff", os.fsencode(path.stem)], rng)
    new = Path(os.fsdecode(os.fsencode(path.parent) + b"/" + name + suffix))
    if not new.is_dir():  # one of the same name is there already
        os.rename(path, new)


def _copy(path, rng, root):
    """The file once more, under another name or with another ending."""
    name = pick([*NAMES, os.fsencode(path.stem)], rng)
    suffix = pick([path.suffix, ".png", ".npy", ".txt", ".csv", ".json", ".yaml"], rng)
    target = os.path.join(os.fsencode(path.parent), name + suffix.encode())
    with contextlib.suppress(shutil.SameFileError):
        shutil.copy(path, target)


WAYS = (_truncate, _flip, _insert, _junk, _npz, _other, _remove, _folder, _link)
WAYS += (_rename, _copy)


# Files with a structure.


def _json(path, rng, root):
    """One value at any depth replaced, removed, or put twice."""
    try:
        data = json.loads(path.read_text())
    except ValueError:
        return
    places = list(_places([data]))
    holder, key = places[rng.integers(len(places))]
    what = rng.integers(8)
    if what == 0 and len(places) > 1:
        del holder[key]
    elif what == 1 and isinstance(holder, list):
        holder.append(holder[key])
    elif what == 2:
        holder[key] = {"x": holder[key]} if rng.integers(2) else [holder[key]]
    else:
        holder[key] = pick(VALUES, rng)
    data = places[0][0][0] if places[0][0] else None
    path.write_text(json.dumps(data))


def _places(node):
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])


def _text(path, rng, root):
    """A word or a line replaced, removed, doubled; or another encoding."""
    text = path.read_text(errors="replace")
    what = rng.integers(8)
    words = list(re.finditer(r"[^\s,<>:\"=\[\]{}/]+", text))
    lines = text.splitlines(keepends=True)
    if what == 0:
        codec = pick(["utf-16", "utf-8-sig", "latin-1", "utf-32"], rng)
        data = text.replace("a", "ä", 1).encode(codec, "replace")
    elif what == 1:
        data = text.replace("\n", pick(["\r\n", "\r", "\n\n", "\x85", "\f"], rng))
    elif what == 2 and lines:
        lines.insert(rng.integers(len(lines) + 1), pick(lines, rng))
        data = "".join(lines)
    elif what == 3 and lines:
        del lines[rng.integers(len(lines))]
        data = "".join(lines)
    elif what == 4:
        place = int(rng.integers(len(text) + 1))
        data = text[:place] + pick([",", '"', "<", ">", "\t", " ", ":", "#", "'"], rng)
        data += text[place:]
    elif words:
        word, value = pick(words, rng), pick(VALUES, rng)
        data = text[: word.start()] + str(value) + text[word.end() :]
    else:
        data = text
    if isinstance(data, str):
        data = data.encode(errors="surrogatepass")
    path.write_bytes(data)


def _image(path, rng, root):
    """Another mode, size, format or content under the same name."""
    width, height = pick(
        [(16, 12), (16, 12), (40, 20), (1, 1), (12, 16), (700, 3)], rng
    )
    values = rng.integers(0, pick([2, 5, 256], rng), (height, width), np.uint8)
    mode = pick(["L", "L", "RGB", "1", "P", "CMYK", "I;16", "I", "F", "LA"], rng)
    if mode == "I;16":
        picture = Image.fromarray(values.astype(np.uint16) * 257)
    elif mode in "IF":
        kind = np.int32 if mode == "I" else np.float32
        extreme = pick([1, 2**23, -1, 0.5], rng)
        picture = Image.fromarray((values.astype(float) * extreme).astype(kind))
    elif mode == "LA":
        picture = Image.merge(mode, [Image.fromarray(values)] * len(mode))
    else:
        picture = Image.fromarray(values).convert(mode)
    for kind in (pick(["PNG", "TIFF", "BMP", "GIF", "JPEG", "WEBP"], rng), "TIFF"):
        with contextlib.suppress(OSError, ValueError):  # a format without this mode
            return picture.save(path, kind)


def _arrays(rng):
    """An array that nobody asked for."""
    return pick(
        [
            np.zeros((0, 0)),
            np.full((12, 16), np.nan),
            np.full((12, 16), np.inf),
            np.full((12, 16), -1.0),
            np.array(["a", "²"]),
            np.array([[1, 2**62]]),
            np.array([[-1, 0]]),
            np.array([[HUGE]], object),
            np.array([[{"a": 1}, "b"]], object),
            np.ones((2, 3, 4, 5)),
            np.ones((12, 16), bool),
            np.ones((12, 16), np.complex64),
            np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
            np.array("2020-01-01", "M8[D]"),
            np.full((12, 16), 1e300),
            np.array(7),
            np.full((1, 3), 1e18),
            np.full((1, 3), 1.5),
        ],
        rng,
    )


def _mat(path, rng, root):
    """One variable, or a field of a structure, replaced, removed or renamed."""
    try:
        found = scipy.io.loadmat(path, simplify_cells=True)
    except Exception:  # of HDF5, or damaged already
        return _hdf5(path, rng, root)
    found = {name: value for name, value in found.items() if name[:2] != "__"}
    places = [(h, k) for h, k in _places(found) if isinstance(h, dict | list)]
    holder, key = pick(places, rng)
    value = pick([_arrays(rng), _arrays(rng), "text", "", [], {"a": 1}, 5, -3.5], rng)
    if isinstance(value, np.ndarray) and value.dtype.kind in "mM":
        value = "date"
    if rng.integers(6) == 0 and isinstance(holder, dict):
        holder["other"] = holder.pop(key)
    elif isinstance(holder[key], np.ndarray) and rng.integers(3) == 0:
        holder[key] = (
            holder[key].astype(np.float64) if holder[key].dtype != object else 1
        )
        if isinstance(holder[key], np.ndarray) and holder[key].size:
            extremes = [np.nan, np.inf, -1, 0, 1e9, 2**40, 0.5]
            holder[key].flat[rng.integers(holder[key].size)] = pick(extremes, rng)
    else:
        holder[key] = value
    buffer = io.BytesIO()
    try:
        scipy.io.savemat(buffer, found)
    except Exception:  # what MATLAB cannot hold
        return _flip(path, rng, root)
    path.write_bytes(buffer.getvalue())


def _hdf5(path, rng, root):
    import h5py

    try:
        with h5py.File(path, "r+") as file:
            name = pick(sorted(file), rng)
            del file[name]
            value = _arrays(rng)
            if value.dtype.kind in "iufbc" and rng.integers(4):
                file[name] = value
            elif rng.integers(2):
                file.create_group(name)
    except Exception:  # damaged already
        path.write_bytes(path.read_bytes()[:-100])


def _npy(path, rng, root):
    """Another array, or a header that says more than there is."""
    if rng.integers(5) == 0:
        header = f"{{'descr': '{pick(['<f4', '|O', '<q9', '<U4'], rng)}', "
        header += "'fortran_order': False, 'shape': (12, 16), }\n"
        start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        path.write_bytes(start + header.encode() + bytes(64))
        return
    with path.open("wb") as file:
        np.save(file, _arrays(rng))


def _row(rng):
    """A record of shards with one value that cannot be right."""
    values = [v for v in VALUES if v != HUGE and not _big(v) and v != "\ud800"]
    row = {"image": b"x", "mask": b"y", "label": 1}
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12)).save(buffer, "PNG")
    row["image"] = buffer.getvalue()
    buffer = io.BytesIO()
    Image.new("L", (16, 12)).save(buffer, "PNG")
    row["mask"] = buffer.getvalue()
    key = pick(["image", "mask", "label", "id"], rng)
    if rng.integers(6):
        row[key] = pick(values, rng)
    else:
        row.pop(key, None)
    return pick([row, row, row, row, [1], "text", None], rng)


def _big(value):
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _array_record(path, rng, root):
    from array_record.python import array_record_module

    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for _ in range(3):
        writer.write(pick([msgpack.packb(_row(rng)), rng.bytes(30), b""], rng))
    writer.close()


def _parquet(path, rng, root):
    import pyarrow
    from pyarrow import parquet

    row = _row(rng)
    rows = [row] if isinstance(row, dict) else [{"other": 1}]
    try:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    except Exception:  # what Parquet cannot hold
        _flip(path, rng, root)
