"""Scenarios asked for one after another, as a bisection does: each is run once and kept in a store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Future, ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from janus_sim.errors import JanusSimError
from janus_sim.results.pack import read_head, unpack
from janus_sim.scenario import Scenario
from janus_sim.sweep.grid import usable
from janus_sim.sweep.origin import model_version
from janus_sim.sweep.work import Outcome, Task, compute, compute_told
from janus_sim.sweep.workers import DIED, pool_of, stop

if TYPE_CHECKING:
    from janus_sim.results.result import Result
    from janus_sim.results.store import Store
    from janus_sim.sweep.grid import Memory

Answer = Callable[[], Mapping[str, Any]]  #: waits for the figures of a run


class Asking:
    """Where a next scenario hangs on the figures of earlier ones, which no grid can say.

    Runs are stored, known again and computed as those of a sweep are; the figures are the same for any number
    of processes.

    Parameters
    ----------
    store : Store or Memory
    jobs : int
        Processes; 1: in this one, at once when asked.

    Examples
    --------
    >>> from janus_sim.sweep.grid import Memory
    >>> scenario = Scenario(topology="two_gpus", workload="moe_bert", policy="expert_centric")
    >>> with Asking(Memory(), 1) as asking:
    ...     figures = asking.start(scenario)()
    >>> figures["step_time_s"] > 0
    True
    """

    def __init__(self, store: Store | Memory, jobs: int) -> None:
        self.store, self.jobs = store, jobs
        self.pool: ProcessPoolExecutor | None = None
        self.scenarios: dict[str, Scenario] = {}  #: all that was asked, by key
        self.known = 0  #: how many of them were in the store
        self._asked: dict[tuple[str, bool], Future[Mapping[str, Any]]] = {}
        self._packed: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.pool = pool_of(self.jobs) if self.jobs > 1 else None
        return self

    def __exit__(self, *problem: object) -> None:
        if self.pool is not None:
            stop(self.pool)

    def start(self, scenario: Scenario, *, detailed: bool = False) -> Answer:
        """Begin a run; the call that comes back waits for its figures.

        Parameters
        ----------
        detailed : bool
            Keep the record too, for `result`.

        Raises
        ------
        JanusSimError
            By the call that comes back, when the run fails.
        """
        key = scenario.key()
        with self._lock:
            if (key, detailed) not in self._asked:
                self.scenarios.setdefault(key, scenario)
                self._asked[key, detailed] = self._begin(scenario, key, detailed)
            return self._asked[key, detailed].result

    def result(self, scenario: Scenario) -> Result:
        """Return the result of a run with its record."""
        self.start(scenario, detailed=True)()
        key, told = scenario.key(), scenario.described()
        return unpack(self._packed[key], told) if key in self._packed else self.store.result(key, told)

    def _begin(self, scenario: Scenario, key: str, detailed: bool) -> Future[Mapping[str, Any]]:
        version, answer = model_version(), Future[Mapping[str, Any]]()
        head = self.store.head(key)
        if head is not None and usable(head, version, detailed):
            self.known += 1
            answer.set_result(head.figures)
            return answer
        task = Task(scenario, key, version, detailed)
        if self.pool is None:
            self._settle(answer, task, compute(task))
        else:
            ran = self.pool.submit(compute_told, task.told())
            ran.add_done_callback(lambda ran: self._settle(answer, task, _outcome(ran)))
        return answer

    def _settle(self, answer: Future[Mapping[str, Any]], task: Task, outcome: Outcome) -> None:
        """Store what came, as soon as it came, then let those go on who wait for it."""
        if outcome.error:
            error = JanusSimError(f"{task.scenario.name}: {outcome.error}")
            error.exit_code = outcome.status
            answer.set_exception(error)
            return
        try:
            self.store.put(task.key, outcome.data)
        except OSError as problem:  # whoever waits has to hear it: this may be another thread
            answer.set_exception(problem)
            return
        if task.detailed:
            self._packed[task.key] = outcome.data
        answer.set_result(read_head(outcome.data).figures)


def _outcome(ran: Future[tuple[bytes, str, int]]) -> Outcome:
    try:
        return Outcome(*ran.result())
    except (BrokenExecutor, CancelledError):
        return Outcome(error=DIED, status=1)
