"""Without PyTorch a .pt is refused with the command that installs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.traces.bringing import refused


def test_a_pt_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "expert_distribution_recorder_1.pt").write_bytes(b"x")
    told = refused(tmp_path / "expert_distribution_recorder_1.pt")
    assert "needs PyTorch to be read; install it: pip install janus-sim[torch]" in told
