"""Why one run is faster than another, by the installed command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Run
from tests.cli.terminal import seen

PARTS = ("compute", "small-kernel loss", "launch and CPU", "NIC m1.nic0", "remainder", "step time")


@pytest.fixture
def ran(ran_once: Callable[..., Path], tiny: Path) -> Path:
    """The folder of a small run."""
    return Path(shutil.copytree(ran_once(), tiny.parent / "ran"))


def waterfall(janus_sim: Run, *words: object) -> dict[str, dict[str, float]]:
    done = janus_sim("explain", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    return {part.pop("part"): part for part in json.loads(done.stdout)["parts"]}


def test_the_parts_of_the_quickstart_are_the_difference_of_the_step_times(
    janus_sim: Run, tmp_path: Path
) -> None:
    asked = ("run", "quickstart", "policies=expert_centric,janus", "--out", "q", "--format", "json")
    done = janus_sim(*asked, "--no-figures")
    assert done.returncode == 0, done.stderr
    slow, fast = (row["step_time_s"] for row in json.loads(done.stdout))
    parts = waterfall(janus_sim, "q", "expert_centric", "janus")
    total = parts.pop("step time")
    assert total["before_s"] == pytest.approx(slow, rel=0, abs=1e-12)
    assert sum(part["change_s"] for part in parts.values()) == pytest.approx(fast - slow, rel=0, abs=1e-9)
    assert sum(part["before_s"] for part in parts.values()) == pytest.approx(slow, rel=0, abs=1e-9)
    assert abs(parts["remainder"]["change_s"]) < 1e-9
    assert [name for name in parts if name.startswith("NIC m")]
    assert (tmp_path / "q" / "waterfall.png").read_bytes()[:4] == b"\x89PNG"


def test_the_terminal_shows_every_part_and_one_sentence(janus_sim: Run, ran: Path) -> None:
    done = janus_sim("explain", "ran", "expert_centric", "data_centric", "--figure", "why.png")
    assert done.returncode == 0, done.stderr
    assert not [part for part in PARTS if part not in done.stdout], done.stdout
    assert "than expert_centric (" in done.stdout
    assert (ran.parent / "why.png").exists()
    assert not (ran / "waterfall.png").exists()


def test_without_names_the_baseline_is_compared_with_the_fastest(janus_sim: Run, ran: Path) -> None:
    done = janus_sim("explain", ran, "--format", "json")
    assert json.loads(done.stdout)["a"] == "expert_centric"


def test_two_folders_are_compared_and_named_apart(janus_sim: Run, ran: Path, tiny: Path) -> None:
    change = "topology.machine.nics.bandwidth=40 Gbit/s"
    assert janus_sim("run", tiny, change, "--out", "slow", "--quiet", "--no-figures").returncode == 0
    done = janus_sim("explain", "ran", "slow", "expert_centric", "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["a"], told["b"]) == ("expert_centric in ran", "expert_centric in slow")
    assert "slower" in told["why"]
    assert "bytes over the NICs" in told["why"]


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_nothing_is_wider_than_it(columns: int, ran: Path) -> None:
    """Bars are as long as there is room, columns that do not fit stand below, each with its policy."""
    shown = seen([str(COMMAND), "explain", "ran"], columns, ran.parent)
    assert max(map(len, shown)) <= columns
    bars = [line for line in shown if line.rstrip().endswith(("+++", "---"))]
    assert len(bars) >= 2
    assert all(line[0].isalpha() for line in bars)
    again = [str(COMMAND), "run", "tiny.yaml", "--out", "ran", "--no-figures"]
    table = seen(again, columns, ran.parent)
    assert max(map(len, table)) <= columns
    heads = [line for line in table if line.startswith("policy")]
    assert (len(heads) > 1) == (columns == 80)
    words = " ".join(heads).split()
    assert {"ms", "speedup", "MFU", "fits", "paradigms"} <= set(words)
    assert len([line for line in table if line.startswith("data_centric  ")]) == len(heads) + 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "there is no such folder"),
        (("tiny.yaml",), "is a file"),
        (("ran/summary.csv",), "is a file; write its folder, ran"),
        ((".",), "holds no results; write one of ran"),
        (("ran", "expert_centric", "janus", "--figure", "ran"), "is a folder; write the name of a file"),
        (("ran", "a", "b", "c"), 'there is no folder "a"'),
        (("ran", "ran"), "holds 3 results; name one in each"),
        (("ran", "expert_centric", "yours"), 'no scenario and no policy is called "yours"'),
        (("ran", "janus"), "is not two names"),
    ],
)
def test_what_is_not_there_is_told(words: tuple[str, ...], said: str, janus_sim: Run, ran: Path) -> None:
    done = janus_sim("explain", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_policy_at_several_points_must_be_named_by_its_scenario(janus_sim: Run, tiny: Path) -> None:
    asked = ("seed=1,2", "policies=expert_centric,janus", "--out", "grid", "--no-figures")
    done = janus_sim("run", tiny, "--quiet", *asked)
    assert done.returncode == 0, done.stderr
    done = janus_sim("explain", "grid", "expert_centric", "janus")
    assert done.returncode == 2
    assert "2 scenarios have the policy" in done.stderr
    assert '"expert_centric seed=1"' in done.stderr
    done = janus_sim("explain", "grid", "expert_centric seed=1", "janus seed=2")
    assert done.returncode == 0, done.stderr
