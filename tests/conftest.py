"""What every test may use. Servers, meters and stores belong to the tests that need them, on a free port."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Examples are drawn anew each time at a desk and are the same every time in CI, so that a red CI run can be repeated.
# No deadline: the machine is shared, and time says nothing about right or wrong.
settings.register_profile("desk", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True, print_blob=True)
settings.register_profile("long", settings.get_profile("desk"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "desk"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def vectors(repository: Path) -> Path:
    """Where the test vectors are: ``vectors / "mep" / …``."""
    return repository / "tests" / "vectors"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium for browser tests; ``make test`` sees to it that there is one."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    pytest.fail("no Chromium on PATH: run `make system`, or install the package `chromium`")
