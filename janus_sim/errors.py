"""The one family of errors: each says where, what was found, and what to write instead.

::

    JanusSimError                    anything that janus-sim tells its user
      InputError                     something written by the user is wrong (exit 2)
        UnreachableError             no route between two devices
      PolicyError                    a policy broke the protocol, or raised an exception (exit 2)
      DeadlockError                  the simulated system waits for ever (exit 3)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DEBUG = "JANUS_SIM_DEBUG"  #: set in the environment: tracebacks are shown on standard error
_SHOWN = 30  # waiting threads told in the text of a deadlock


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, and where it stands.

    Attributes
    ----------
    where : str
        File and path into it, as ``"experiments/x.yaml: policies.janus.treshold"``; either may be missing.
    message : str
        What was found and what to write instead.
    """

    where: str
    message: str

    @property
    def file(self) -> str:
        """The file of the mistake, or an empty string."""
        head, colon, _ = self.where.partition(": ")
        return head if colon else (head[:-1] if head.endswith(":") else "")

    @property
    def path(self) -> str:
        """The path into the file, or an empty string for the file as a whole."""
        head, colon, tail = self.where.partition(": ")
        return tail if colon else ("" if head.endswith(":") else head)


class JanusSimError(Exception):
    """Whatever janus-sim has to tell its user; the root of the tree."""

    exit_code = 2  #: exit status of the command line


class InputError(JanusSimError):
    """What the user wrote is wrong; all mistakes are told at once.

    Parameters
    ----------
    mistakes : sequence of Mistake, or one Mistake

    Examples
    --------
    >>> print(InputError([Mistake("x.yaml: policies.janus.treshold", 'unknown; did you mean "threshold"?')]))
    x.yaml:
      policies.janus.treshold  unknown; did you mean "threshold"?
    """

    def __init__(self, mistakes: Sequence[Mistake] | Mistake) -> None:
        self.mistakes: tuple[Mistake, ...] = (mistakes,) if isinstance(mistakes, Mistake) else tuple(mistakes)
        super().__init__(tell(self.mistakes))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Mistake, ...]]]:
        """Travel between processes with the mistakes, not with the text alone."""
        return type(self), (self.mistakes,)


class UnreachableError(InputError):
    """No route leads from one device to another."""


class PolicyError(JanusSimError):
    """A policy broke the protocol (it yielded or planned what does not exist), or raised an exception."""


class DeadlockError(JanusSimError):
    """Nothing can happen any more and somebody still waits.

    Parameters
    ----------
    waiting : sequence of str
        One line a waiting thread: who waits for what, by name.

    Examples
    --------
    >>> print(DeadlockError(["rank 0 waits for a credit of buffer experts"]))
    the simulated system deadlocks; 1 thread waits for ever:
      rank 0 waits for a credit of buffer experts
    """

    exit_code = 3

    def __init__(self, waiting: Sequence[str]) -> None:
        self.waiting: tuple[str, ...] = tuple(waiting)
        many = "thread waits" if len(self.waiting) == 1 else "threads wait"
        lines = [f"the simulated system deadlocks; {len(self.waiting)} {many} for ever:"]
        lines += [f"  {line}" for line in self.waiting[:_SHOWN]]
        more = len(self.waiting) - _SHOWN
        super().__init__("\n".join([*lines, f"  ... and {more} more"] if more > 0 else lines))

    def __reduce__(self) -> tuple[type[DeadlockError], tuple[tuple[str, ...]]]:
        """Travel between processes with the list, not with the text alone."""
        return type(self), (self.waiting,)


def tell(mistakes: Iterable[Mistake]) -> str:
    """Write mistakes one a line, aligned, grouped by file in the order of first mention.

    Examples
    --------
    >>> print(tell([Mistake("", "no such experiment")]))
    no such experiment
    """
    groups: dict[str, list[Mistake]] = {}
    for mistake in dict.fromkeys(mistakes):
        groups.setdefault(mistake.file, []).append(mistake)
    lines: list[str] = []
    for file, members in groups.items():
        width = max(len(mistake.path) for mistake in members)
        indent = "  " if file else ""
        lines += [f"{file}:"] if file else []
        lines += [
            f"{indent}{m.path:<{width}}  {m.message}" if width else f"{indent}{m.message}" for m in members
        ]
    return "\n".join(lines)
