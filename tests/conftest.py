"""All tests: warnings are errors, no silent broadcasting of ranks, two fake devices."""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from pathlib import Path

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory):
    """Rendered worlds and compiled programs of all tests, away from the user's own.

    JAXSEG_TEST_CACHE keeps them from one run to the next.
    """
    folder = os.environ.get("JAXSEG_TEST_CACHE") or tmp_path_factory.mktemp("cache")
    os.environ["JAXSEG_CACHE"] = str(folder)
    jax.config.update("jax_compilation_cache_dir", str(Path(folder) / "xla"))
    return Path(folder)


@pytest.fixture
def real_data():
    """The folder of real samples, or a skip that says where it was looked for."""
    folder = os.environ.get("JAXSEG_TEST_DATA")
    if not folder:
        pytest.skip("JAXSEG_TEST_DATA is not set: no real data on this machine")
    return Path(folder)
