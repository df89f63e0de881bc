"""--set and --config.a.b: values of a config replaced by the paths of its keys."""

import copy
import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxseg.core import errors
from jaxseg.transfer import chain


def override(config: Any, changes: Sequence[tuple[str, Any]]) -> chain.Config:
    """The config bound, after values of it were replaced.

    changes: (regex, value); the regex is matched in full on the paths of the bound
    config, such as stages/NAME/optimizer/momentum, so that defaults can be replaced as
    well. UserError where it matches nothing. The value goes into the config as it was
    before binding: what follows from it by default then does. At the smoke size every
    key is written already.
    """
    config = chain.plain(config)
    if isinstance(config, dict) and config.get("smoke"):
        config = chain.bind(config).plain()
    for pattern, value in changes:
        bound = chain.bind(config).plain()
        paths = list(_paths(bound))
        try:
            matched = [path for path in paths if re.fullmatch(pattern, "/".join(path))]
        except re.error as error:
            raise errors.UserError(f"--set {pattern!r}: not a regex: {error}") from None
        if not matched:
            alike = isinstance(value, Mapping)  # a section never stands in for a value
            raise _no_key(pattern, value, [p for p in paths if _is(bound, p) == alike])
        for *sections, key in matched:
            section = config
            for name in sections:
                if not isinstance(section.get(name), dict):  # left to its default
                    section[name] = {}
                section = section[name]
            section[key] = copy.deepcopy(value)  # it may stand inside itself
    return chain.bind(config)


def _no_key(
    pattern: str, value: Any, paths: Sequence[Sequence[str]]
) -> errors.UserError:
    """For a pattern that matches nothing; offers one that does, if one is near."""
    known = ["/".join(path) for path in paths]
    *front, last = pattern.split("/")
    ends = difflib.get_close_matches(last, {path[-1] for path in paths})
    tries = ["/".join([*front, end]) for end in (last, *ends)]
    tries = [start + text for text in tries for start in ("", ".*/")]
    near = [text for text in tries if any(re.fullmatch(text, key) for key in known)]
    depth = pattern.count("/")
    near += difflib.get_close_matches(
        pattern, [text for text in known if text.count("/") == depth], n=1
    )
    given = value if isinstance(value, str) else json.dumps(value)
    hint = f" Did you mean '{near[0]}={given}'?" if near else ""
    return errors.UserError(
        f"--set: {pattern!r} matches no key of the config.{hint} `--print` shows all."
    )


def _is(tree: Any, path: Sequence[str]) -> bool:
    """Whether a section is at this path."""
    for key in path:
        tree = tree[key]
    return isinstance(tree, Mapping)


def _paths(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all keys, inner ones as well."""
    for key, value in tree.items():
        yield (*path, key)
        if isinstance(value, Mapping):
            yield from _paths(value, (*path, key))
