"""What all tests share: quiet, repeatable Hypothesis, and figures without a screen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
settings.register_profile("janus", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("janus")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of measured data ($JANUS_SIM_DATA, or ../shared/data); skips where it is absent."""
    for folder in (os.environ.get("JANUS_SIM_DATA"), ROOT.parent / "shared" / "data"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    pytest.skip("the measured data is not here; set JANUS_SIM_DATA to its folder")
