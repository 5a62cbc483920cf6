"""Tasks on a Dask cluster, an optional extra: `pip install "janus-sim[dask]"`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.sweep.work import Outcome, Task, compute_told
from janus_sim.sweep.workers import AHEAD, Done, Workers

LOCAL = "local"  #: the address that starts a cluster on this machine
PATIENCE = 30  #: seconds for a scheduler to answer


def cluster(address: str, jobs: int) -> Workers:
    """Return what runs tasks on a Dask cluster; a worker that dies has its tasks run by another.

    The workers need janus-sim, and the files that scenarios name under the same paths.

    Parameters
    ----------
    address : str
        Of the scheduler, as ``tcp://host:8786``, or ``local``.
    jobs : int
        Processes of a local cluster.

    Raises
    ------
    InputError
        When Dask is not installed, or nobody answers at the address.
    """
    try:
        import distributed
    except ImportError:
        words = 'needs dask.distributed; pip install "janus-sim[dask]"'
        raise InputError(Mistake("--dask", words)) from None

    def run(tasks: Sequence[Task]) -> Iterator[Done]:
        with ExitStack() as stack:
            yield from _run(
                tasks, stack.enter_context(_client(distributed, address, jobs, stack)), distributed
            )

    return run


def _client(distributed: Any, address: str, jobs: int, stack: ExitStack) -> Any:  # noqa: ANN401
    if address == LOCAL:
        local = distributed.LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        )
        return distributed.Client(stack.enter_context(local))
    try:
        return distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(Mistake("--dask", f"no scheduler answers at {address}: {words}")) from error


def _run(tasks: Sequence[Task], client: Any, distributed: Any) -> Iterator[Done]:  # noqa: ANN401
    waiting = iter(enumerate(tasks))
    running: dict[str, int] = {}
    done = distributed.as_completed()

    def fill() -> None:
        room = AHEAD * max(sum(client.nthreads().values()), 1)
        while len(running) < room and (following := next(waiting, None)) is not None:
            index, task = following
            future = client.submit(compute_told, task.told(), key=f"janus-sim-{task.key}", pure=False)
            running[future.key] = index
            done.add(future)

    fill()
    for future in done:
        yield running.pop(future.key), _outcome(future)
        future.release()
        fill()


def _outcome(future: Any) -> Outcome:  # noqa: ANN401
    try:
        return Outcome(*future.result())
    except Exception as error:  # a worker that died too often, or one without janus-sim
        return Outcome(error=f"{type(error).__name__}: {error}", status=1)
