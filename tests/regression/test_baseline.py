"""A baseline file: read, written so that a number is a line, and its mistakes told."""

from __future__ import annotations

from pathlib import Path

import pytest

from janus_sim.errors import InputError
from janus_sim.regression.baseline import Baseline, Expected, Tolerance, expected_of
from janus_sim.regression.compare import compare, explained


def baseline() -> Baseline:
    expected = Expected(step_time_s=0.25, speedup=1.5, expert_cross_machine_bytes=1e12, path={"nic": 0.125})
    return Baseline(
        experiment="quickstart",
        changes=("seed=1",),
        scenarios={"janus credits=4": expected, "8 ranks": expected},
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("# Ours.\n\n# not the head\n")
    baseline().write(path)
    text = path.read_text()
    assert text.startswith("# Ours.\nexperiment: quickstart\n")
    assert '  "janus credits=4":\n    step_time_s: 0.25\n    speedup: 1.5\n' in text
    again = Baseline.load(path)
    assert again.change(file="") == baseline()
    again.write(path)
    assert path.read_text() == text


def test_a_changed_number_is_one_line_of_a_diff(tmp_path: Path) -> None:
    before = baseline()
    scenarios = dict(before.scenarios)
    scenarios["8 ranks"] = scenarios["8 ranks"].change(step_time_s=0.26)
    pairs = zip(
        before.text().splitlines(), before.change(scenarios=scenarios).text().splitlines(), strict=True
    )
    assert [(old, new) for old, new in pairs if old != new] == [
        ("    step_time_s: 0.25", "    step_time_s: 0.26")
    ]


def test_all_mistakes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "experiment: quickstart\ntolerance: {step_time: 1}\nscenarios: {janus: {step_time_s: -1}}\n"
    )
    with pytest.raises(InputError) as told:
        Baseline.load(path)
    assert [mistake.path for mistake in told.value.mistakes] == [
        "tolerance.step_time",
        "scenarios.janus.step_time_s",
    ]


def test_a_row_becomes_what_is_expected() -> None:
    row = {"step_time_s": 1 / 3, "speedup": float("nan"), "expert_cross_machine_bytes": 57982058496,
           "straggler_s": 0.0, "path_nic_s": 0.5}  # fmt: skip
    expected = expected_of(row)
    assert expected.numbers() == {"step_time_s": 0.333333333, "expert_cross_machine_bytes": 57982058496.0}
    assert expected.path == {"nic": 0.5}


def test_within_the_tolerance_nothing_moved_and_beyond_it_slower_fails() -> None:
    expected, tolerance = Expected(step_time_s=1.0), Tolerance(step_time_s=0.01)
    verdicts = [
        (one.verdict, one.fails)
        for seconds in (0.98, 0.995, 1.005, 1.02)
        for one in compare("x", expected, {"step_time_s": seconds}, tolerance)
    ]
    assert verdicts == [("faster", False), ("ok", False), ("ok", False), ("slower", True)]


def test_a_scenario_that_fails_fails_the_check() -> None:
    (one,) = compare("x", Expected(step_time_s=1.0), {"error": "deadlock"}, Tolerance())
    assert (one.verdict, one.fails, one.told()) == ("failed", True, "x: failed: deadlock")


def test_why_it_is_slower_is_told_by_the_critical_path() -> None:
    row = {"path_compute_s": 1.0, "path_nic_s": 1.5, "straggler_s": 0.0}
    text = explained("janus", {"compute": 1.0, "nic": 1.0}, row, ("the baseline", "this run"))
    assert text.startswith("janus: this run is 1.25x slower than the baseline")
    assert "500 ms more on bytes over the NICs" in text
