"""Guesses how to read a folder for a trained model, by the data of its training."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import errors
from jaxseg.data import catalogue, refusals
from jaxseg.data.readers import mask_ids
from jaxseg.data.tools import guess
from jaxseg.data.tools.guess import Guess

FOLDER = "folder/segmentation"
AS_TRAINED = "the data of the training"


def like(
    root: Path,
    fields: Sequence[str],
    trained: Mapping[str, Any],
    classes: Sequence[str],
    binary: bool = False,
    given: Mapping[str, Any] | None = None,
) -> Guess:
    """The likeliest reading with these fields; UserError if there is none, or if the
    folder's own list of classes contradicts the model.

    trained: the `data` section of the training, {} if unknown. classes: of the model,
    in the order of their numbers. binary: whether it has one class and the background.
    given: options that replace the guessed ones.
    """
    name, options, reason = _chosen(root, fields, trained, given)
    if given is not None:
        facts = guess.describe(name, root, dict(given))
        return Guess(name, dict(given), "", facts, f"{reason}, as --options say", ())
    listed = options.get("classes") or ()
    if name == trained.get("name"):
        known = trained.get("options") or {}
        # Options for places come from this folder, options for labels from training.
        here = catalogue.places(name)
        meaning = {key: value for key, value in known.items() if key not in here}
        places = known if reason == AS_TRAINED else options
        if not any(meaning.get(key) for key in ("binary", "ids", "colors")):
            options = _as_wanted(root, options, len(classes), binary)
        options = meaning | {key: places[key] for key in here if key in places}
        reason += ", with the options of the training"
    elif name == FOLDER:
        options = _as_wanted(root, options, len(classes), binary)
    _check_names(root, classes, listed, every=True)
    known = catalogue.bind_options(name, options)
    unnamed = not (known.get("classes") or known.get("colors"))
    if catalogue.classes_from(name) and classes and unnamed:
        options = options | {"classes": [*classes]}
        reason += ", with the classes of the model"
    facts = guess.describe(name, root, options)
    _check_names(root, classes, facts.classes, every=False)
    return Guess(name, options, "", facts, reason, ())


def _check_names(
    root: Path, ours: Sequence[str], theirs: Sequence[str], every: bool
) -> None:
    """UserError if names are in another order than the model's or, with `every`, differ
    at all: metrics would silently count one class as another.
    """
    one, other = ([name.lower() for name in names] for names in (ours, theirs))
    unnamed = all(re.fullmatch(r"class_\d+", name) for name in one)
    if unnamed or not other or one in (other, ["background", *other]):
        return
    if every or sorted(one) == sorted(other):
        raise errors.UserError(
            f"{root}: found the classes {', '.join(theirs)}, the model has "
            f"{', '.join(ours)}; allowed are the same in the same order. Fix: correct "
            "the folder's list of names if the labels have the model's numbers, or "
            "name the reader's options with --options=JSON, which go before the list."
        )


def _chosen(
    root: Path,
    fields: Sequence[str],
    trained: Mapping[str, Any],
    given: Mapping[str, Any] | None,
) -> tuple[str, dict[str, Any], str]:
    """The reader of the training if it fits, else the likeliest with these fields."""
    if not root.is_dir():
        raise guess.no_folder(str(root))
    with refusals.setting_aside():
        every = list(guess.candidates(root))
    wanted = {"image", *fields}
    fit = [each for each in every if wanted <= {*catalogue.find(each[0]).fields}]
    same = [each for each in fit if each[0] == trained.get("name")]
    if same or fit:
        return (same or fit)[0]
    if trained.get("name") in catalogue.names() and catalogue.find(trained["name"]).own:
        options = trained.get("options") if given is None else given
        try:
            guess.describe(trained["name"], root, dict(options or {}))
        except errors.UserError:
            if not every:
                raise
        else:
            return trained["name"], {}, AS_TRAINED
    formats = ", ".join(f"{name} ({reason})" for name, _, reason in every)
    raise errors.UserError(
        f"{root}: found {formats or 'no data of a known format'}; the model needs "
        f"labels of {', '.join(fields)}. Fix: name a folder that has them, or the "
        "reader with --data=NAME --root=DIR."
    )


def _as_wanted(
    root: Path, options: Mapping[str, Any], count: int, binary: bool
) -> dict[str, Any]:
    """The options of masks, for a model of `count` classes or a binary one; UserError
    for masks of 0 and another value that is none of these classes.
    """
    if binary:
        return {k: v for k, v in options.items() if k != "classes"} | {"binary": True}
    if not options.get("binary") or not count:
        return dict(options)
    masks = [mask for _, mask in guess.matched(root)]
    held = sorted({id_ for ids in mask_ids.ids_in(masks, root) for id_ in ids})
    if held[-1] >= count:
        raise errors.UserError(
            f"{root}: the masks hold the ids {held}, the model has {count} classes, 0 "
            f"to {count - 1} (255 is ignore). Fix: name a folder with these classes, "
            'or say what the ids mean, such as --options=\'{"ids": {"255": 1}}\'.'
        )
    return {key: value for key, value in options.items() if key != "binary"}
