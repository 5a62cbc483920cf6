"""`--help` of every command on a narrow screen loses no word of what the options say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import typer

from janus_sim.cli.commands import app, main


def commands() -> Iterator[tuple[str, ...]]:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        yield (name,)
        yield from ((name, inner) for inner in getattr(command, "commands", ()))


def helped(words: tuple[str, ...]) -> list[str]:
    """Return what the options and arguments of a command say, without the marks for bold type."""
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    told = [str(option.help) for option in command.params if getattr(option, "help", None)]
    return [re.sub(r"\[/?b\]", "", text) for text in told]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_word_is_shown(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    assert max(map(len, shown.splitlines())) <= 80
    lost = [word for text in helped(words) for word in text.split() if word not in shown]
    assert lost == []
