"""Files to start from: an experiment; a policy with its test."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from janus_sim.errors import InputError, Mistake
from janus_sim.files import write_whole

EXPERIMENT = """\
# An experiment: a grid of runs. Check it with   janus-sim run {file} --dry-run
# and run it with                                janus-sim run {file}
name: {name}
source: ""                        # where the question comes from

topology: a100_4x8                # see janus-sim topologies; or {{base: a100, machines: 2}}, or ./mine.yaml
workload: moe_bert                # see janus-sim workloads; or {{base: moe_bert, micro_batch_size: 64}}

baseline: expert_centric          # what the others are compared with
policies:                         # see janus-sim policies, with their knobs
  expert_centric: {{}}
  janus: {{}}
  # mine: {{type: "my_policy:MyPolicy"}}   # a class of yours beside this file: janus-sim new policy my_policy

# One run for each combination; a path leads to any value of the scenario.
# vary:
#   workload.micro_batch_size: [32, 64, 128]
#   topology.machine.nics.bandwidth: [100 Gbit/s, 200 Gbit/s]
# zip:                            # values that move together
#   workload.micro_batch_size: [32, 64]
#   workload.seq_length: [256, 128]

seed: 0
# seeds: 10                       # each run under ten seeds; tables show means and 95 % intervals
# steps: 4                        # training steps of each run
"""

POLICY = '''\
"""{title}: say in one sentence what it does."""

from __future__ import annotations

from dataclasses import dataclass, field

from janus_sim import Gpu, Policy, RoutedLayer, Steps


@dataclass(frozen=True)
class {cls}(Policy):
    """Tokens travel: All-to-All out, run the experts that live here, All-to-All back.

    Parameters
    ----------
    patience : float
        Seconds of CPU time before each dispatch; a knob, as an example.
    """

    patience: float = field(default=0.0, metadata={{"unit": "seconds"}})

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Run one MoE layer on one GPU; `yield` waits."""
        yield gpu.think(self.patience)
        yield gpu.all_to_all(layer.dispatch, "dispatch")
        for expert, rows in layer.mine(gpu.rank):
            useful = layer.kept(expert) / rows  # the others are padding
            yield gpu.compute(layer.kernel(expert, rows), f"expert {{expert}}", useful=useful)
        yield gpu.all_to_all(layer.combine, "combine")

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """The same backwards: gradients of outputs come in, gradients of inputs go out."""
        yield gpu.all_to_all(layer.combine.T, "gradient dispatch")
        for expert, rows in layer.mine(gpu.rank):
            useful = layer.kept(expert) / rows
            yield gpu.compute(layer.input_gradient(expert, rows), f"expert {{expert}} input", useful=useful)
            weights = layer.weight_gradient(expert, rows)
            yield gpu.compute(weights, f"expert {{expert}} weights", useful=useful)
        yield gpu.all_to_all(layer.dispatch.T, "gradient combine")
'''

TEST = '''\
"""{cls} keeps the contract of every policy."""

from __future__ import annotations

from {module} import {cls}

from janus_sim.testing import check_policy


def test_{module}_keeps_the_contract() -> None:
    check_policy({cls}())
'''


def experiment(name: str, folder: Path) -> list[Path]:
    """Write a commented experiment.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        When the name is no name of a file, or a file is there already.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(Mistake("NAME", f'"{name}" is no name of a file; write letters and digits'))
    stem = name.removesuffix(".yaml")
    return _write({folder / f"{stem}.yaml": EXPERIMENT.format(name=stem, file=f"{stem}.yaml")})


def policy(name: str, folder: Path) -> list[Path]:
    """Write a policy that works as it stands, and its test; see `experiment`."""
    module = name.removesuffix(".py")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", module) or keyword.iskeyword(module):
        words = f'"{name}" is no name of a module; write small letters, digits and _, as my_policy'
        raise InputError(Mistake("NAME", words))
    cls = "".join(part.capitalize() for part in module.split("_"))
    told = {"module": module, "cls": cls, "title": module.replace("_", " ").capitalize()}
    return _write({
        folder / f"{module}.py": POLICY.format(**told),
        folder / f"test_{module}.py": TEST.format(**told),
    })  # fmt: skip


def _write(texts: dict[Path, str]) -> list[Path]:
    there = [
        Mistake(f"{path}:", "is there already; it is not written over") for path in texts if path.exists()
    ]
    if there:
        raise InputError(there)
    for path, text in texts.items():
        write_whole(path, text.encode())
    return list(texts)
