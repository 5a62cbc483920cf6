"""The guide to a first policy is true: its policy keeps the contract and runs by the installed command."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from janus_sim.scenario.plug import policy_from
from janus_sim.testing import check_policy

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "first_policy.md").read_text()
EXAMPLES = DOCS / "examples"


def test_the_guide_shows_the_files_as_they_are() -> None:
    code, file = (re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL) for language in ("python", "yaml"))
    assert code
    assert file
    assert code[1] == (EXAMPLES / "lazy.py").read_text()
    assert (EXAMPLES / "lazy.yaml").read_text().endswith(file[1])
    assert len(code[1].splitlines()) <= 45


def test_what_the_guide_types_into_python_works() -> None:
    policy = policy_from({"type": "lazy:LazyFetch"}, folders=[EXAMPLES])
    test = doctest.DocTestParser().get_doctest(GUIDE, {"LazyFetch": type(policy)}, "first_policy", None, 0)
    assert len(test.examples) == 2
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize(
    "policy", [{"type": "lazy:LazyFetch"}, {"type": "pipelined", "inner": {"type": "lazy:LazyFetch"}}]
)
def test_it_keeps_the_contract_alone_and_in_chunks(policy: dict[str, object]) -> None:
    check_policy(policy_from(policy, folders=[EXAMPLES]), cases=["two GPUs, skewed, two micro-batches"])


def test_the_installed_command_runs_it_from_another_folder(tmp_path: Path) -> None:
    command = [Path(sys.executable).parent / "janus-sim", "run", EXAMPLES / "lazy.yaml", "--format", "json"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = {row["policy"]: row for row in json.loads(done.stdout)}
    assert list(rows) == ["expert_centric", "data_centric", "lazy", "lazy_in_chunks"]
    assert rows["lazy"]["step_time_s"] > rows["data_centric"]["step_time_s"]


def test_every_word_of_the_guide_exists() -> None:
    from janus_sim import Gpu, Policy
    from janus_sim.engine.machine import Machine

    table = GUIDE.split("## The words of a GPU")[1].split("\n## ")[0]
    for name in re.findall(r"gpu\.machine\.(\w+)", table):
        assert hasattr(Machine, name)
    for name in set(re.findall(r"gpu\.(\w+)", table)):
        assert hasattr(Gpu, name) or name in Gpu.__slots__, name
    methods = GUIDE.split("## What it may know")[1].split("\n## ")[0]
    for line in methods.splitlines():
        if line.startswith("| `"):
            assert all(hasattr(Policy, name) for name in re.findall(r"`(\w+)`", line.split("|")[1])), line
