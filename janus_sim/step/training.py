"""Several training steps, one after another: the plan and the past go from each to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from janus_sim.engine.cluster import Cluster
from janus_sim.policies.base import Policy
from janus_sim.record import StepRecord
from janus_sim.schedules.base import Schedule
from janus_sim.step.one import Step
from janus_sim.step.past import Past

if TYPE_CHECKING:
    from janus_sim.workload.workload import Workload


@dataclass(frozen=True)
class Training:
    """A workload on a cluster under a policy and a schedule.

    Attributes
    ----------
    seed : int
        Of the start jitter.
    """

    cluster: Cluster
    workload: Workload
    policy: Policy
    schedule: Schedule
    seed: int = 0

    def run(self, steps: int) -> tuple[list[StepRecord], list[Step]]:
        """Run some steps; each begins when nothing of the one before is in flight.

        Raises
        ------
        DeadlockError
            Who waits for what, by name.
        PolicyError
            The policy, its plan or the schedule broke the protocol.
        """
        records, done, plan = [], [], self.workload.plan
        past = Past(self.workload, steps)
        for index in range(steps):
            step = Step(
                self.cluster, self.workload, self.policy, self.schedule, past, index, plan, seed=self.seed
            )
            records.append(step.run())
            done.append(step)
            plan = step.plan
        return records, done
