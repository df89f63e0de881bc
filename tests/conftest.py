"""All tests: warnings are errors, no silent broadcasting of ranks, two fake devices,
memory given back.
"""

import ctypes
import gc
import importlib
import os
import resource
import sys

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from pathlib import Path

import jax
import pytest

from jaxseg.core import lookup, memo

PAGE = resource.getpagesize()
MOST = 3 << 30  # bytes

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files with slow tests come first: several workers then end at the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory):
    """Rendered worlds and compiled programs of all tests, away from the user's own.

    JAXSEG_TEST_CACHE keeps them from one run to the next.
    """
    folder = os.environ.get("JAXSEG_TEST_CACHE") or tmp_path_factory.mktemp("cache")
    os.environ["JAXSEG_CACHE"] = str(folder)
    jax.config.update("jax_compilation_cache_dir", str(Path(folder) / "xla"))
    return Path(folder)


@pytest.fixture(scope="module", autouse=True)
def memory():
    """Programs of modules that have ended are let go of where they take too much: the
    workers of a run, and what their tests start, share one machine.
    """
    yield
    statm = Path("/proc/self/statm")
    if statm.exists() and int(statm.read_text().split()[1]) * PAGE > MOST:
        from jaxseg.evals import loss, predictor
        from jaxseg.train import programs

        for known in (programs._train_program, predictor._program, loss._program):
            known.cache_clear()
        jax.clear_caches()
        gc.collect()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)  # glibc would keep what is free


@pytest.fixture
def real_data():
    """The folder of real samples, or a skip that says where it was looked for."""
    folder = os.environ.get("JAXSEG_TEST_DATA")
    if not folder:
        pytest.skip("JAXSEG_TEST_DATA is not set: no real data on this machine")
    return Path(folder)


@pytest.fixture
def add(tmp_path, monkeypatch):
    """`add(package, name, source)` adds a module to a package of jaxseg."""
    added = []

    def write(package, name, source):
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{name}.py").write_text(source.lstrip())
        parent = importlib.import_module(package)
        monkeypatch.setattr(parent, "__path__", [*parent.__path__, str(folder)])
        added.append((parent, name))
        # What is on disk is known by the source of jaxseg, to which this is added.
        monkeypatch.setattr(memo, "code", lambda: f"{tmp_path} {len(added)}")
        forget()

    yield write
    for parent, name in added:
        sys.modules.pop(f"{parent.__name__}.{name}", None)
        vars(parent).pop(name, None)
    forget()


def forget():
    """What was looked up once is looked up again."""
    from jaxseg.models.pretrained import convert

    importlib.invalidate_caches()
    lookup._names.cache_clear()
    convert.architectures.cache_clear()
