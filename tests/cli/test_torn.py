"""Torn files of a folder of results: a command refuses them by name, or says what it left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from janus_sim import open_results
from janus_sim.cli.commands import main
from janus_sim.errors import InputError
from tests.cli.conftest import TINY

RANGE = "topology.machine.nics.bandwidth: {uniform: [40 Gbit/s, 100 Gbit/s], name: NIC}"
DRAWN = f"vary: {{workload.precision: [fp16, tf32]}}\nuncertainty:\n  draws: 3\n  {RANGE}\n"

Say = Callable[..., tuple[int, str]]


def halve(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def cut_lines(path: Path) -> None:
    """Cut at the end of a line, where nothing looks torn."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))


HARMS: dict[str, Callable[[Path], object]] = {
    "absent": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "half": halve,
    "half of its lines": cut_lines,
    "bytes": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "another table": lambda path: path.write_text("a,b\nc,d\n"),
    "another JSON": lambda path: path.write_text('{"ranges": 1, "inputs": [1]}\n'),
    "a list": lambda path: path.write_text('[1, {"scenario": null}]\n'),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three policies under two seeds, `ran`, and three draws of two policies, `drawn`."""
    place = tmp_path_factory.mktemp("torn")
    (place / "ran.yaml").write_text(TINY + "seeds: 2\n")
    (place / "drawn.yaml").write_text(TINY.replace("  janus: {}\n", "") + DRAWN)
    for command, name in (("run", "ran"), ("uncertainty", "drawn")):
        with pytest.raises(SystemExit) as left:
            main([command, str(place / f"{name}.yaml"), "--out", str(place / name)])
        assert not left.value.code
    return place


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run the command line in this process, and return its exit status and all that it says."""

    def run(*words: object) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out + said.err

    return run


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a fresh copy of one of the folders."""

    def copy(kind: str) -> Path:
        shutil.rmtree(tmp_path / kind, ignore_errors=True)
        return Path(shutil.copytree(made / kind, tmp_path / kind))

    return copy


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("ran", ("scenarios.json", "summary.csv")),
        ("drawn", ("scenarios.json", "intervals.csv", "tornado.csv", "ranges.json")),
    ],
)
def test_what_a_page_is_made_of_is_refused_by_name_when_torn(
    harm: str, kind: str, names: tuple[str, ...], copied: Callable[[str], Path], say: Say
) -> None:
    for name in names:
        folder = copied(kind)
        HARMS[harm](folder / name)
        status, words = say("report", folder)
        assert (status, name in words) == (2, True), (name, words)
        assert "give the `janus-sim` command that wrote the folder again" in words
        assert not (folder / "report.html").exists()


@pytest.mark.parametrize("harm", HARMS)
def test_a_notebook_and_explain_and_check_refuse_a_torn_index_or_table(
    harm: str, copied: Callable[[str], Path], say: Say
) -> None:
    for name in ("scenarios.json", "summary.csv"):
        folder = copied("ran")
        HARMS[harm](folder / name)
        with pytest.raises(InputError, match=name):
            open_results(folder).table()
        if name == "scenarios.json":
            assert say("explain", folder)[0] == say("timeline", folder)[0] == 2
        assert say("check", "--base", folder, "--head", folder)[0] == 2


@pytest.mark.parametrize("harm", ["absent", "half"])
def test_a_report_says_what_it_left_out(harm: str, copied: Callable[[str], Path], say: Say) -> None:
    first = json.loads((copied("ran") / "scenarios.json").read_text())[0]["key"]
    for name in ("provenance.json", "inputs/experiment.yaml", f"runs/{first}.run"):
        folder = copied("ran")
        HARMS[harm](folder / name)
        status, words = say("report", folder)
        assert status == 0
        assert name.rpartition("/")[2] in words, words
        assert name.rpartition("/")[2] in (folder / "report.html").read_text()


@pytest.mark.parametrize("harm", ["absent", "empty", "half"])
def test_with_all_runs_torn_each_section_says_so(harm: str, copied: Callable[[str], Path], say: Say) -> None:
    folder = copied("ran")
    for path in (folder / "runs").iterdir():
        HARMS[harm](path)
    assert say("report", folder)[0] == 0
    page = (folder / "report.html").read_text()
    for heading in ("Why", "Links", "Timeline"):
        section = page.partition(f"<h2>{heading}</h2>")[2].partition("</section>")[0]
        assert "here are no results" in section
        assert ("is not there" if harm == "absent" else "is torn") in section
    status, words = say("explain", folder, "expert_centric seed=0", "janus seed=0")
    assert (status, "Traceback" in words) == (2, False)
    assert "give the `janus-sim` command" in words


def test_what_no_command_reads_changes_no_page(copied: Callable[[str], Path], say: Say) -> None:
    for kind, names in (
        ("ran", ("seeds.csv", "links.csv", "spans.parquet")),
        ("drawn", ("draws.csv", "beats.csv", "summary.csv")),
    ):
        folder = copied(kind)
        say("report", folder)
        whole = (folder / "report.html").read_bytes()
        for name in names:
            halve(folder / name)
        say("report", folder)
        assert (folder / "report.html").read_bytes() == whole


def test_the_same_command_makes_torn_tables_whole_and_computes_only_torn_runs(
    made: Path, copied: Callable[[str], Path], say: Say
) -> None:
    folder = copied("ran")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    halve(folder / "summary.csv")
    halve(folder / "scenarios.json")
    halve(next(iter(sorted((folder / "runs").iterdir()))))
    status, words = say("run", made / "ran.yaml", "--out", folder)
    assert status == 0, words
    assert "5 runs there already" in words
    assert "1 run computed" in words
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files


def test_tables_of_two_runs_mixed_by_a_crash_are_an_unfinished_sweep(
    copied: Callable[[str], Path], say: Say
) -> None:
    """Killed while it puts the new tables in place of the old, a sweep leaves its mark and no provenance."""
    folder = copied("ran")
    (folder / "provenance.json").rename(folder / "sweep.json")
    status, words = say("report", folder)
    assert (status, "holds a sweep that is not finished (6 runs are done)" in words) == (2, True)


def test_an_older_result_under_a_newer_unfinished_run_is_told(
    copied: Callable[[str], Path], say: Say
) -> None:
    folder = copied("ran")
    (folder / "sweep.json").write_text("{}")
    status, words = say("report", folder)
    assert (status, "a newer run of this folder is not finished" in words) == (0, True)


def test_a_folder_of_uncertainty_is_told_as_one(made: Path, copied: Callable[[str], Path], say: Say) -> None:
    folder = copied("drawn")
    assert say("report", folder)[0] == 0
    page = (folder / "report.html").read_text()
    assert "5 to 95 % of 3 draws" in page
    assert "What it hangs on" in page
    assert "uncertainty.draw" not in page.partition("What was run")[0]
