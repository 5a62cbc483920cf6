"""The commands that pages show can be read: verbs, options and changes; nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from janus_sim.cli.commands import app
from janus_sim.files import names
from janus_sim.scenario import Experiment
from janus_sim.sweep import check_experiment

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
INDENTED = re.compile(r"^(?:    |\$ |- run: )+(janus-sim .*)$", re.MULTILINE)


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for command in INDENTED.findall(text):
            if "..." not in command and " | " not in command:
                yield page.name, command.partition("  #")[0].strip()


SHOWN = sorted(set(commands()))


def test_the_pages_show_commands() -> None:
    assert {"README.md", "check.md", "results.md", "why_and_how_sure.md"} <= {page for page, _ in SHOWN}


@pytest.mark.parametrize(("page", "command"), SHOWN)
def test_a_command_is_read(page: str, command: str) -> None:
    understand(command)


@pytest.mark.parametrize(
    "command", ["janus-sim runn x", "janus-sim report x --htm y", "janus-sim run quickstart workload.sise=1"]
)
def test_a_wrong_command_is_not(command: str) -> None:
    with pytest.raises(Exception, match=r"runn|--htm|sise"):  # typer's, or ours
        understand(command)


def understand(command: str) -> None:
    """Read a command as the terminal does, up to the point where it would begin."""
    verb, *words = shlex.split(re.sub(r"\[(?:--[^]]*|[A-Z. ]+)\]", "", command), comments=True)[1:]
    group = get_command(app)
    known = group.commands[verb]  # type: ignore[attr-defined]
    context = known.make_context(verb, words)
    experiment = context.params.get("experiment")
    if verb in {"run", "sweep", "uncertainty"} and experiment in names("experiments"):
        check_experiment(Experiment.load(experiment, context.params.get("changes") or ()))
