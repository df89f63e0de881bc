"""Arguments of every config and --set, drawn at random: a plan or a message of ours."""

import functools
import json
import operator
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from configs import common
from jaxseg import main
from jaxseg.transfer import chain, overrides

ROOT = Path(__file__).parents[2]
SECONDS = 30  # for one plan: more is taken for a hang
TEXTS = (
    *("", " ", "0", "1", "-1", "3", "0.5", "1e-3", "1e400", "-1e-400", "nan", "inf"),
    *("NaN", "-Infinity", "1e3", "0x10", "1_000", "²", "٣", "999999999", "1" * 5000),
    *("99999999999999999999", "-99999999999999999999", "true", "false", "None", "null"),
    *(
        "[]",
        "{}",
        "[[]]",
        "[0]",
        "[-1]",
        "[64, 64]",
        "[0, 0]",
        "[1e9, 1e9]",
        "[" * 9000,
    ),
    *('{"name": "bogus"}', '{"name": 3}', '{"": {}}', '[{"name": "flip"}]', '"', "'"),
    *("@", "+", ",", ":", "=", "/", ".", "..", "@@", "++", "a@b@c", "a:b", "%s", "{}"),
    *("\0", "\n", "\u202e", "\udcff", "ü", "🙂", "hrnet", "tiny", "worlds", "worlds/"),
    *("worlds/driving_day", "driving_day@bogus", "driving_day@", "@depth", "camvid/11"),
    *("driving_dya", "aerial_city@depth", "websearch", "driving_day", "x" * 300),
    *("/nowhere", "64+64", "64+", "+64", "0.1+nan", "0.01+0.01", "1+2+3", "holdout"),
)
# What a base needs to be planned at all, and to be planned quickly.
BASES = {
    "finetune": {"data": "{folder}"},
    "factors": {"seeds": "1", "targets": "driving_night", "sources": "driving_day"},
}


def configs():
    """{name: {argument: default}} of what configs/ holds."""
    found = {}
    for path in sorted((ROOT / "configs").glob("[!_]*.py")):
        if path.stem != "common":
            found[path.stem] = defaults(path)
    return found


def defaults(path):
    """The arguments that a config passes to `common.parse`."""

    class Found(Exception):
        pass

    def tell(arg, **given):
        raise Found(given)

    parse, common.parse = common.parse, tell
    try:
        main.load_config(path, "")
    except Exception as error:
        found = error if isinstance(error, Found) else error.__cause__
        return found.args[0]
    finally:
        common.parse = parse


def value(rng, default):
    """Text for an argument: anything, or what it might be, hurt a little."""
    if rng.random() < 0.4:
        return rng.choice(TEXTS)
    items = default if isinstance(default, tuple) else (default,)
    items = [hurt(rng, str(item)) for item in rng.choices(items, k=rng.randint(1, 3))]
    return "+".join(items)


def hurt(rng, text):
    """`text` with one character changed, gone, twice or added; or as it is."""
    place = rng.randrange(len(text) + 1)
    other = rng.choice("x@+,:=/.[]{}0-9\0é \"'*(\\|")
    return rng.choice(
        (
            text,
            text[:place] + text[place + 1 :],
            text[:place] + other + text[place:],
            text[:place] + other + text[place + 1 :],
            text * 2,
        )
    )


def mutant(rng, value):
    """A JSON value like `value`, something in it changed."""
    if rng.random() < 0.1:
        return rng.choice((None, True, -1, 0, 1e400, 10**30, "x", [], {}, [[]]))
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        changed = dict(value) | {key: mutant(rng, value[key])}
        if rng.random() < 0.3:
            changed[hurt(rng, key)] = changed.pop(key)
        return changed
    if isinstance(value, list | tuple) and value:
        place, items = rng.randrange(len(value)), list(value)
        items[place] = mutant(rng, items[place])
        return rng.choice((items, items[place:], items * 2, items[place]))
    if isinstance(value, str):
        return hurt(rng, value)
    if isinstance(value, int | float):
        numbers = (-1, 0, 1, 2, 3, 0.5, 1.5, 10**6, 10**12, -(10**30), 1e400, -1e-9)
        return rng.choice((*numbers, -value, value * 2, value + 1, str(value), [value]))
    return rng.choice((0, 1, -1, 0.5, "x", "", [1], [[".*", 1]], {"name": "x"}, False))


def arguments(rng, name, known, folder):
    """What follows a config after the colon."""
    given = dict(BASES.get(name, {}))
    for key in rng.choices(list(known), k=rng.randint(1, 3)):
        given[key] = value(rng, known[key])
    pairs = [f"{key}={text}" for key, text in given.items()]
    if rng.random() < 0.2:
        pairs.append(rng.choice((*TEXTS, *known, hurt(rng, "seeds=2"), pairs[0])))
    return ",".join(pairs).replace("{folder}", str(folder))


def changes(rng, bound):
    """--set and --config.x flags for some keys of a bound config."""
    paths = list(overrides._paths(bound))
    for _ in range(rng.randint(1, 2)):
        path, text = rng.choice(paths), rng.choice(TEXTS)
        if rng.random() < 0.8:
            value = functools.reduce(operator.getitem, path, bound)
            text = json.dumps(mutant(rng, value), ensure_ascii=rng.random() < 0.5)
        if rng.random() < 0.3:
            yield f"--config.{'.'.join(path)}={text}"
            continue
        pattern = rng.choice(("/".join(path), f".*/{path[-1]}"))
        if rng.random() < 0.15:
            pattern = hurt(rng, pattern)
        yield f"--set={pattern}={text}"


def lines(count, folder):
    """Command lines, the same ones whenever `count` is the same."""
    rng = random.Random(0)
    known, bound = configs(), {}
    for name in known:
        given = BASES.get(name, {}).items()
        text = ",".join(f"{key}={value}" for key, value in given)
        config = main.load_config(
            ROOT / "configs" / f"{name}.py", text.replace("{folder}", str(folder))
        )
        bound[name] = chain.bind(config).plain()
    for _ in range(count):
        name = rng.choice(list(known))
        file = f"--config={ROOT}/configs/{name}.py"
        if rng.random() < 0.5:
            yield [f"{file}:{arguments(rng, name, known[name], folder)}"]
        else:
            given = ",".join(f"{k}={v}" for k, v in BASES.get(name, {}).items())
            given = given.replace("{folder}", str(folder))
            yield [f"{file}:{given}", *changes(rng, bound[name])]


class Hang(BaseException):
    """Nobody's `except Exception` takes it for an error of a config."""


def alarm(number, frame):
    raise Hang(f"no plan after {SECONDS} s")


def planned(line, capsys):
    """What went wrong with a command line, or None."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        code = main.main([*line, "--plan"])
    except SystemExit as stop:
        code = stop.code
    except BaseException as error:
        return f"{line}: {type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    out, err = capsys.readouterr()
    if code == 0 and "nan" in out.lower():
        return f"{line}: NaN in its plan"
    if code == 2 and err.strip():
        return None
    return None if code == 0 else f"{line}: code {code}, said {err[:300]!r}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four images with masks; messages may name it."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for index in range(4):
            high, shape = (255, (32, 32, 3)) if kind == "images" else (3, (32, 32))
            pixels = rng.integers(0, high, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{index}.png")
    return tmp_path


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(60, marks=pytest.mark.slow),
        pytest.param(2000, marks=pytest.mark.release),
    ],
)
def test_arguments_end_in_a_plan_or_a_message(count, folder, tally, capsys):
    before = signal.signal(signal.SIGALRM, alarm)
    row = tally("fuzz: arguments of configs")
    try:
        for line in lines(count, folder):
            row.add(planned(line, capsys))
    finally:
        signal.signal(signal.SIGALRM, before)
    row.check(at_least=count)
