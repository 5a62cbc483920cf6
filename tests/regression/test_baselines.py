"""The project's own simulated speedups are guarded as it tells others to guard theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from janus_sim.regression import Baseline, rerun

BASELINES = sorted((Path(__file__).parent / "baselines").glob("*.yaml"))


@pytest.mark.parametrize("path", BASELINES, ids=lambda path: path.stem)
def test_step_times_and_traffic_are_as_they_were(path: Path) -> None:
    check = rerun(Baseline.load(path))
    told = [finding.told() for finding in check.findings if finding.verdict != "ok"]
    assert check.findings
    assert told == [], "\n".join([*told, *check.explanations])


def test_there_are_baselines() -> None:
    assert BASELINES
