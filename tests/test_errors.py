"""Errors tell everything at once and survive a trip between processes."""

from __future__ import annotations

from janus_sim.errors import (
    DeadlockError,
    InputError,
    JanusSimError,
    Mistake,
    PolicyError,
    UnreachableError,
    tell,
)


def test_mistakes_are_grouped_by_file_and_aligned() -> None:
    text = tell(
        [
            Mistake("a.yaml: x", "first"),
            Mistake("b.yaml:", "whole file"),
            Mistake("a.yaml: long.path", "second"),
        ]
    )
    assert text.splitlines() == [
        "a.yaml:",
        "  x          first",
        "  long.path  second",
        "b.yaml:",
        "  whole file",
    ]


def test_the_same_mistake_is_told_once() -> None:
    assert tell([Mistake("a.yaml: x", "wrong")] * 2).count("wrong") == 1


def test_one_family() -> None:
    for kind in (InputError, PolicyError, DeadlockError, UnreachableError):
        assert issubclass(kind, JanusSimError)
    assert InputError([]).exit_code == PolicyError("x").exit_code == 2
    assert DeadlockError(["a", "b"]).exit_code == 3


def test_errors_can_be_rebuilt_from_what_they_reduce_to() -> None:
    for error in (
        InputError([Mistake("a", "b")]),
        UnreachableError(Mistake("a", "b")),
        DeadlockError(["a", "b"]),
    ):
        kind, arguments = error.__reduce__()
        assert str(kind(*arguments)) == str(error)  # type: ignore[arg-type]
