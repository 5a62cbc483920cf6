"""Tasks in this process or in several: outcomes come as they are done, a process that dies ends one task."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context, parent_process

from janus_sim.sweep.work import Outcome, Task, compute, compute_told

AHEAD = 2  #: tasks that a process has in hand or waiting
DIED = "the process that ran it died (killed, or out of memory)"

Done = tuple[int, Outcome]
Workers = Callable[[Sequence[Task]], Iterator[Done]]


def here(tasks: Sequence[Task]) -> Iterator[Done]:
    """Run tasks one after another in this process."""
    for index, task in enumerate(tasks):
        yield index, compute(task)


def processes(jobs: int) -> Workers:
    """Return what runs tasks in so many fresh processes."""

    def run(tasks: Sequence[Task]) -> Iterator[Done]:
        waiting, suspects = list(reversed(range(len(tasks)))), list[int]()
        while waiting:
            suspects = yield from _pool(tasks, waiting, min(jobs, len(waiting)))
            for index in suspects:  # one of them killed its process: each gets one of its own
                lost = yield from _pool(tasks, [index], 1)
                if lost:
                    yield index, Outcome(error=DIED, status=1)

    return run


def _pool(tasks: Sequence[Task], waiting: list[int], jobs: int) -> Generator[Done, None, list[int]]:
    """Run the last of the waiting first; when a process dies, return what was in the pool then."""
    running: dict[Future[tuple[bytes, str, int]], int] = {}
    pool = pool_of(jobs)
    try:
        while waiting or running:
            while waiting and len(running) < AHEAD * jobs:
                running[pool.submit(compute_told, tasks[waiting[-1]].told())] = waiting[-1]
                waiting.pop()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                outcome = Outcome(*future.result())
                yield running.pop(future), outcome
    except BrokenExecutor:
        return sorted(running.values())
    finally:
        stop(pool)
    return []


def pool_of(jobs: int) -> ProcessPoolExecutor:
    """Return so many fresh processes, which end with this one."""
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_prepare)


def stop(pool: ProcessPoolExecutor) -> None:
    """End the processes at once, whatever they do."""
    children = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for child in children:
        child.terminate()
    for child in children:
        child.join()


def _prepare() -> None:
    """Leave interrupts to the parent, and end when it ends, even by `kill -9`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
