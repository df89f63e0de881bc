"""Every example that these tests read shows which files its reader opens."""

import os
import sys
import threading

import pytest

from jaxseg.core import user_cache
from jaxseg.data.source import Source

FEW = 1000  # records; a larger source is there to count how often it is asked
_seen = threading.local()


def _hear(event, args):
    if event == "open" and getattr(_seen, "files", None) is not None:
        _seen.files.append(args[0])


sys.addaudithook(_hear)  # for good: Python removes none


@pytest.fixture(autouse=True)
def no_file_is_read_unsaid(monkeypatch):
    """What parse opens below the root enters the digest of the record."""
    read = Source._read

    def listened(self, index):
        _seen.files = []
        try:
            return read(self, index)
        finally:
            opened, _seen.files = _seen.files, None
            _check(self, index, opened)

    monkeypatch.setattr(Source, "_read", listened)


def _check(source, index, opened):
    if source.root is None or len(source) >= FEW:
        return
    root = os.path.realpath(source.root)
    said = {name for name, _ in source._files(source._records[index])}
    said = {os.path.realpath(os.path.join(root, name)) for name in said}
    paths = {os.path.realpath(p) for p in opened if isinstance(p, str | os.PathLike)}
    made = os.path.realpath(user_cache.folder()) + os.sep  # by this program
    below = {p for p in paths if p.startswith(root + os.sep) and made not in p}
    assert below <= said, f"{source}: parse reads {below - said} unsaid"
