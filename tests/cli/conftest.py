"""The installed command, run as a person would, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "janus-sim"

TINY = """
name: tiny
topology: two_gpus
workload:
  name: tiny
  model:
    layers: 2
    moe_layers: every 2
    experts_per_rank: 2
    top_k: 1
    hidden: 64
    ffn: {width: 256}
    heads: 4
    vocabulary: 100
  precision: fp16
  micro_batch_size: 2
  seq_length: 16
baseline: expert_centric
policies:
  expert_centric: {}
  data_centric: {}
  janus: {}
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """An experiment that takes no time, in a folder of its own."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def ran_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Run the small experiment with changes, once for all tests that want it so; return its folder."""
    from janus_sim.cli.commands import main

    known: dict[tuple[str, ...], Path] = {}

    def run(*changes: str) -> Path:
        if changes not in known:
            place = tmp_path_factory.mktemp("once")
            (place / "tiny.yaml").write_text(TINY)
            words = ["run", str(place / "tiny.yaml"), *changes, "--out", str(place / "ran")]
            with pytest.raises(SystemExit) as left:
                main([*words, "--quiet", "--no-figures"])
            assert not left.value.code
            known[changes] = place / "ran"
        return known[changes]

    return run


@pytest.fixture
def janus_sim(tmp_path: Path) -> Run:
    """Run the installed command in a temporary working directory."""

    def run(*arguments: object, cwd: Path = tmp_path, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [str(COMMAND), *map(str, arguments)]
        environment = {**os.environ, **variables}
        return subprocess.run(
            command, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
        )

    return run
