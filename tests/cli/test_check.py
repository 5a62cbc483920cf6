"""`janus-sim check`: exit 0 as expected, 1 a violation, 2 bad input, 5 nothing selected."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import Run

TOPOLOGY = "base: a100_4x8\nmachine: {nics: {bandwidth: %s Gbit/s}}\n"
EXPERIMENT = """
topology: ./mine.yaml
workload: moe_bert
policies:
  expert_centric: {}
"""


@pytest.fixture
def guarded(tmp_path: Path, tiny: Path, janus_sim: Run) -> Path:
    """A baseline of the small experiment, written by the command itself."""
    path = tmp_path / "guard.yaml"
    path.write_text("experiment: tiny.yaml\n")
    done = janus_sim("check", path, "--update")
    assert done.returncode == 0, done.stderr
    return path


def test_a_baseline_holds_until_something_moves(
    guarded: Path, tiny: Path, janus_sim: Run, tmp_path: Path
) -> None:
    done = janus_sim("check", guarded)
    assert done.returncode == 0, done.stderr
    assert "12 numbers as expected, 0 moved, 0 failed" in done.stdout
    before = guarded.read_text()
    guarded.write_text(
        before.replace("    step_time_s: 0.00", "    step_time_s: 0.01", 1)
    )  # far slower: now faster
    done = janus_sim("check", guarded)
    assert done.returncode == 0
    assert "faster" in done.stdout
    janus_sim("check", guarded, "--update")
    assert guarded.read_text() == before


def test_three_per_cent_less_bandwidth_fails_and_is_explained(janus_sim: Run, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(EXPERIMENT)
    (tmp_path / "mine.yaml").write_text(TOPOLOGY % "200")
    (tmp_path / "guard.yaml").write_text("experiment: x.yaml\n")
    assert janus_sim("check", "guard.yaml", "--update").returncode == 0
    (tmp_path / "mine.yaml").write_text(TOPOLOGY % "194")
    summary = tmp_path / "summary.md"
    done = janus_sim("check", "guard.yaml", "--junit", "junit.xml", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1, done.stderr
    row = next(line for line in done.stdout.splitlines() if "step_time_s" in line)
    assert row.split()[:2] == ["expert_centric", "step_time_s"]
    assert row.split()[-1] == "SLOWER"
    assert "on bytes over the NICs" in done.stdout
    suite = ET.parse(tmp_path / "junit.xml").getroot()[0]  # noqa: S314
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    failure = suite[0].find("failure")
    assert failure is not None
    assert "expert_centric: step_time_s is" in str(failure.get("message"))
    assert "| expert_centric | step_time_s |" in summary.read_text()


def test_a_guard_that_is_gone_fails_and_one_that_is_new_is_told(guarded: Path, janus_sim: Run) -> None:
    text = guarded.read_text()
    guarded.write_text(text.replace("  janus:\n", "  jonas:\n"))
    done = janus_sim("check", guarded)
    assert done.returncode == 1
    assert "jonas: missing" in done.stdout
    assert "janus: new: not in the baseline" in done.stdout


def test_an_empty_check_does_not_pass(guarded: Path, janus_sim: Run, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "empty.yaml").write_text("experiment: tiny.yaml\nscenarios: {}\n")
    (tmp_path / "numberless.yaml").write_text("experiment: tiny.yaml\nscenarios: {janus: {}}\n")
    before = guarded.read_text()
    for arguments in (
        [], ["none"], [guarded, "--only", "nobody*"], ["empty.yaml"], ["numberless.yaml"],
        [guarded, "empty.yaml"], ["empty.yaml", "--only", "janus"],
        ["--base", "tiny.yaml", "--head", "tiny.yaml", "--only", "nobody"], [guarded, "--update", "-k", ""],
    ):  # fmt: skip
        done = janus_sim("check", *arguments)
        assert done.returncode == 5, (arguments, done.stderr)
        assert "nothing was selected" in done.stderr
    assert guarded.read_text() == before
    assert janus_sim("check", guarded, "empty.yaml", "--only", "janus").returncode == 0


def test_bad_input_is_told(guarded: Path, janus_sim: Run, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("experiment: quickstrat\nscenarios: {}\n")
    for arguments, words in (
        (["nowhere.yaml"], "nowhere.yaml"),
        (["wrong.yaml"], 'did you mean "quickstart"?'),
        (["--base", "quickstart"], "--base A with --head B"),
        ([guarded, "--tolerance", "0.1"], "--tolerance  belongs to --base A --head B"),
        (["--base", "tiny.yaml", "--head", "tiny.yaml", "--update"], "--update  writes baseline files"),
        ([guarded, "--junit", "."], "is a folder; write the name of a file after --junit"),
    ):
        done = janus_sim("check", *arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_check_that_takes_too_long_fails(guarded: Path, janus_sim: Run, tmp_path: Path) -> None:
    done = janus_sim("check", guarded, "--max-seconds", "0.01", "--junit", "junit.xml")
    assert done.returncode == 1
    assert "max-seconds" in done.stdout
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text()


def test_two_versions_of_an_experiment_are_compared(tiny: Path, janus_sim: Run, tmp_path: Path) -> None:
    (tmp_path / "head.yaml").write_text(tiny.read_text().replace("seq_length: 16", "seq_length: 64"))
    done = janus_sim("check", "--base", "tiny.yaml", "--head", "head.yaml")
    assert done.returncode == 1, done.stderr
    assert "SLOWER" in done.stdout
    assert "slower than base" in done.stdout
    assert janus_sim("run", "tiny.yaml", "--no-figures", "--out", "base").returncode == 0
    assert janus_sim("check", "--base", "base", "--head", "tiny.yaml").returncode == 0
