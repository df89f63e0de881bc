"""Class names from the files that labelling tools write into a folder.

classes.txt, labels.txt, obj.names, codes.txt: one name per line, optionally after its
number and before its colour. CSV (Roboflow's _classes.csv, class_dict.csv): a name and
perhaps a number. JSON: a list, {number: name} or {name: number}, or rows with `id` and
`name`. YAML: the key `names`. TensorFlow's pbtxt: items with `id` and `name`.
"""

import collections
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxseg.core import errors
from jaxseg.data import refusals
from jaxseg.data.readers import text_files

STEM = r"_?(obj|class(es)?|labels?|codes|categories)([_-]?(names?|maps?|dict|list))?|"
STEM += r"(id[_-]?2?[_-]?(class|label)|(class|label)[_-]?2?[_-]?id)s?"
SUFFIXES = (".txt", ".names", ".csv", ".json", ".yaml", ".yml", ".pbtxt")
YAML = ("data", "dataset", "config")  # other stems of files with `names`
BELOW = ("*", "*/*")
MOST = 1 << 20  # bytes of a list of names
NUMBER = "[0-9]{1,6}"
NUMBERS = ("id", "value", "pixelvalue", "index", "number", "classid", "labelid")
TABLES = ("filename", "image", "imageid", "path")
HEADERS = ("name", "class", "label", "category", "classname", "labelname")


class Names(NamedTuple):
    """{id: name} of `file`, which lies below the root."""

    file: str
    names: Mapping[int, str]

    @property
    def classes(self) -> list[str]:
        """The names in the order of their ids, which have no gap."""
        return [self.names[id_] for id_ in sorted(self.names)]


def find(root: Path) -> Names | None:
    """The first list of names in the folder or one below it; None without one.

    UserError for a list that cannot be right.
    """
    try:
        return _first(root)
    except errors.UserError as error:
        refusals.refuse(error)
        return None


def _first(root: Path) -> Names | None:
    for path in (path for below in BELOW for path in sorted(root.glob(below))):
        if not _is_list(path, root):
            continue
        names = read(path)
        if names:
            return Names(path.relative_to(root).as_posix(), _checked(names, path))
    return None


def _is_list(path: Path, root: Path) -> bool:
    """Whether a file has the name of a list of names and at most MOST bytes."""
    stem, suffix = path.stem.lower(), path.suffix.lower()
    yaml = suffix in (".yaml", ".yml") and stem in YAML and path.parent == root
    named = bool(re.fullmatch(STEM, stem)) or suffix == ".names" or yaml
    if not named or suffix not in SUFFIXES:
        return False
    return path.is_file() and path.stat().st_size <= MOST


def read(path: Path) -> dict[int, str]:
    """{id: name}, {} where the file holds something else."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _from_json(text_files.read_json(path))
    text = text_files.read_text(path)
    if suffix in (".yaml", ".yml"):
        return names_in_yaml(text)
    if suffix == ".pbtxt":
        return _from_pbtxt(text)
    return _from_lines(text.removeprefix("\ufeff").splitlines(), suffix == ".csv")


def _checked(names: Mapping[int, str], path: Path) -> Mapping[int, str]:
    ids = sorted(names)
    if ids not in (list(range(len(ids))), list(range(1, len(ids) + 1))):
        raise errors.UserError(
            f"{path}: names the classes {', '.join(map(str, ids[:8]))}, ...; allowed "
            "are 0, 1, 2, ... (or 1, 2, 3, ...), each once. Fix: number them so, or "
            "remove the file and name the classes with the option classes=[...]."
        )
    check_names(names, str(path))
    return names


def _from_lines(lines: Sequence[str], csv: bool) -> dict[int, str]:
    """{id: name}; the ids count the lines unless each line has a number of its own."""
    rows = [
        [word.strip().strip("\"'") for word in re.split(r"[,;\t:]", line)]
        for line in lines
        if line.strip() and not line.lstrip().startswith("#")
    ]
    head = [re.sub(r"[^a-z]", "", word.lower()) for word in (rows or [[]])[0]]
    name = next((i for i, word in enumerate(head) if word in HEADERS), None)
    if csv and any(word in TABLES for word in head):
        return {}  # a table of images, not of classes
    if csv and name is not None:
        id_ = next((i for i, word in enumerate(head) if word in NUMBERS), None)
        body = [row for row in rows[1:] if len(row) > max(name, id_ or 0)]
        pairs = [(row[name], "" if id_ is None else row[id_]) for row in body]
    else:
        pairs = [
            _split([word for part in row for word in part.split()]) for row in rows
        ]
    numbers = {number for _, number in pairs if re.fullmatch(NUMBER, number)}
    if len(numbers) < len(pairs):
        return {place: name for place, (name, _) in enumerate(pairs)}
    return {int(number): name for name, number in pairs}


def _split(words: Sequence[str]) -> tuple[str, str]:
    """(name, number or "") of a line, which may begin with a number."""
    digits = [bool(re.fullmatch(NUMBER, word)) for word in words]
    if all(digits):
        return " ".join(words), ""
    first, last = digits.index(False), len(digits) - digits[::-1].index(False)
    return " ".join(words[first:last]), words[0] if first == 1 else ""


def _from_json(data: Any) -> dict[int, str]:
    if isinstance(data, Mapping):
        inner = [data.get(key) for key in ("names", "classes", "labels", "id2label")]
        nested = next((each for each in inner if isinstance(each, list | dict)), None)
        data = data if nested is None else nested
    if isinstance(data, list) and all(isinstance(each, str) for each in data):
        return dict(enumerate(data))
    if isinstance(data, list) and all(isinstance(each, dict) for each in data):
        pairs = [(each.get("id"), each.get("name")) for each in data]
    elif isinstance(data, Mapping):
        turned = all(isinstance(value, int) for value in data.values())
        pairs = [(v, k) if turned else (k, v) for k, v in data.items()]
    else:
        return {}
    digits = all(re.fullmatch(NUMBER, str(id_)) for id_, _ in pairs)
    whole = digits and all(isinstance(name, str) for _, name in pairs)
    return {int(id_): name for id_, name in pairs} if whole else {}


def _from_pbtxt(text: str) -> dict[int, str]:
    names = {}
    for item in re.findall(r"item\s*\{(.*?)\}", text, re.DOTALL):
        id_ = re.search(r"\bid\s*:\s*([0-9]{1,6})\b", item)
        name = re.search(r"\b(?:display_)?name\s*:\s*[\"'](.*?)[\"']", item)
        if id_ and name:
            names[int(id_[1])] = name[1]
    return names


def names_in_yaml(text: str) -> dict[int, str]:
    """{id: name} of the key `names` in any of the three forms that YAML files use."""
    match = re.search(r"^names:[ \t]*(\[.*?\])", text, re.MULTILINE | re.DOTALL)
    if match:
        words = re.sub(r"#.*", "", match[1])[1:-1].split(",")
        return dict(enumerate(plain_scalar(word) for word in words if word.strip()))
    match = re.search(
        r"^names:[^\n]*\n((?:[ \t]*#.*\n|[ \t]*\n|[ \t]+.*\n|- .*\n)*)",
        text + "\n",
        re.MULTILINE,
    )
    names: dict[int, str] = {}
    for line in (match[1] if match else "").splitlines():
        item = re.fullmatch(r"\s*(?:(\d+)\s*:|-)\s+(.*)", line)
        if item and plain_scalar(item[2]):
            names[int(item[1]) if item[1] else len(names)] = plain_scalar(item[2])
    return names


def plain_scalar(word: str) -> str:
    """A YAML scalar without its comment and quotes."""
    return re.sub(r"(^|\s)#.*$", "", word).strip().strip("'\"")


def check_names(names: Mapping[Any, Any], where: str) -> tuple[str, ...]:
    """The class names in the order of the mapping; UserError if one occurs twice."""
    classes = tuple(map(str, names.values()))
    counts = collections.Counter(classes)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice or not classes:
        raise errors.UserError(
            f"{where}: found {len(classes)} classes, {twice or 'none'} more than once; "
            "allowed are one or more, each once. Fix: correct the names."
        )
    return classes


def raw_ids(given: Mapping[Any, Any] | None) -> dict[int, int] | None:
    """{raw id: class} of an option, whose keys are text in JSON."""
    return None if given is None else {int(raw): int(to) for raw, to in given.items()}
