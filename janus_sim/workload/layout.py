"""Which ranks work together: groups of expert parallelism, and the replicas of an expert's home."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Layout:
    """The ranks of a run, cut into expert-parallel groups: of contiguous ranks, or of ranks one stride apart.

    Each group holds every expert once, so a token never leaves its group; the dense layers are
    replicated on all ranks (data parallelism over `world`).

    Parameters
    ----------
    world : int
        Number of GPUs.
    ep : int
        Ranks in a group of expert parallelism; divides `world`.
    across : bool
        Whether a group has every (world / ep)-th rank: one of each machine, where a machine has world / ep.

    Raises
    ------
    ValueError
        If a number is below 1 or `ep` does not divide `world`.

    Examples
    --------
    >>> layout = Layout(world=4, ep=2)
    >>> layout.groups
    ((0, 1), (2, 3))
    >>> layout.group_of(3), layout.position_of(3), layout.replicas_of(3)
    (1, 1, (1, 3))
    >>> Layout(world=4, ep=2, across=True).groups
    ((0, 2), (1, 3))
    """

    world: int
    ep: int
    across: bool = False

    def __post_init__(self) -> None:
        if self.world < 1 or self.ep < 1:
            raise ValueError(f"world {self.world} and ep {self.ep} must be at least 1")
        if self.world % self.ep:
            raise ValueError(f"ep {self.ep} does not divide the {self.world} ranks")

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The groups of expert parallelism, each a tuple of ranks, in order of rank."""
        count = self.world // self.ep
        if self.across:
            return tuple(tuple(range(first, self.world, count)) for first in range(count))
        return tuple(tuple(range(first, first + self.ep)) for first in range(0, self.world, self.ep))

    def group_of(self, rank: int) -> int:
        """Return the index in `groups` of the group of `rank`."""
        rank = self._checked(rank)
        return rank % (self.world // self.ep) if self.across else rank // self.ep

    def position_of(self, rank: int) -> int:
        """Return the place of `rank` in its group, 0 to ep - 1."""
        rank = self._checked(rank)
        return rank // (self.world // self.ep) if self.across else rank % self.ep

    def replicas_of(self, rank: int) -> tuple[int, ...]:
        """Return the ranks (itself included) that are home to the same experts as `rank`."""
        position = self.position_of(rank)
        return tuple(group[position] for group in self.groups)

    def _checked(self, rank: int) -> int:
        if not 0 <= rank < self.world:
            raise ValueError(f"rank {rank} is not one of the {self.world} ranks")
        return rank
