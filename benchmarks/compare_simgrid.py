"""The same flows through SimGrid and through our solver in one run: finish times, CPU seconds, ratio.

    python benchmarks/compare_simgrid.py ["3,000 random flows" ...]

Needs a C++ compiler and the headers of SimGrid 3 (Debian: libsimgrid-dev). SimGrid runs its pure max-min
fluid model: all TCP corrections off, a flow a `Comm::sendto` over a route of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from bench_network import seconds
from network_cases import GROUPS, Case

from janus_sim.network import finish_times

REPLAY = r"""
#include <simgrid/s4u.hpp>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>
namespace sg4 = simgrid::s4u;

static double cpu() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

int main(int argc, char** argv) {
  sg4::Engine engine(&argc, argv);
  FILE* in = fopen(argv[1], "r");
  FILE* out = fopen(argv[2], "w");
  long links, flows;
  if (fscanf(in, "%ld %ld", &links, &flows) != 2) return 1;
  auto* zone = sg4::create_full_zone("zone");
  std::vector<sg4::Link*> link(links);
  for (long l = 0; l < links; l++) {
    double capacity;
    if (fscanf(in, "%lf", &capacity) != 1) return 1;
    link[l] = zone->create_link("l" + std::to_string(l), capacity)->set_latency(0)->seal();
  }
  std::vector<sg4::Host*> source(flows), target(flows);
  std::vector<double> size(flows), end(flows);
  for (long f = 0; f < flows; f++) {
    int hops;
    if (fscanf(in, "%lf %d", &size[f], &hops) != 2) return 1;
    std::vector<sg4::LinkInRoute> route;
    for (int h = 0; h < hops; h++) {
      long l;
      if (fscanf(in, "%ld", &l) != 1) return 1;
      route.emplace_back(link[l]);
    }
    source[f] = zone->create_host("s" + std::to_string(f), 1e9)->seal();
    target[f] = zone->create_host("t" + std::to_string(f), 1e9)->seal();
    zone->add_route(source[f]->get_netpoint(), target[f]->get_netpoint(), nullptr, nullptr, route, false);
  }
  zone->seal();
  std::vector<sg4::CommPtr> comms(flows);
  double spent = 0;
  sg4::Actor::create("all", source[0], [&] {
    double begin = cpu();
    for (long f = 0; f < flows; f++) comms[f] = sg4::Comm::sendto_async(source[f], target[f], size[f]);
    for (auto& comm : comms) comm->wait();
    spent = cpu() - begin;
    for (long f = 0; f < flows; f++) end[f] = comms[f]->get_finish_time();
  });
  engine.run();
  fprintf(out, "%.6f\n", spent);
  for (double time : end) fprintf(out, "%.17g\n", time);
  fclose(out);
}
"""

OPTIONS = (
    "--cfg=network/model:CM02", "--cfg=network/bandwidth-factor:1", "--cfg=network/latency-factor:1",
    "--cfg=network/weight-S:0", "--cfg=network/TCP-gamma:0", "--cfg=network/crosstraffic:0",
    "--cfg=surf/precision:1e-13", "--cfg=maxmin/precision:1e-12", "--cfg=network/optim:Lazy",
    "--log=root.thres:error",
)  # fmt: skip


def build(folder: Path) -> Path:
    """Compile the replay."""
    compiler = shutil.which("g++")
    if compiler is None:
        print("skipped: a C++ compiler is needed to compare, g++")
        raise SystemExit(0)
    source, program = folder / "replay.cpp", folder / "replay"
    source.write_text(REPLAY)
    done = subprocess.run(
        [compiler, "-O3", "-std=c++17", str(source), "-o", str(program), "-lsimgrid"],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        print("skipped: SimGrid is needed to compare, Debian's libsimgrid-dev")
        raise SystemExit(0)
    return program


def simgrid(
    program: Path, case: Case, folder: Path
) -> tuple[float, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return SimGrid's CPU seconds and finish times."""
    given, told = folder / "flows.txt", folder / "ends.txt"
    lines = [f"{len(case.capacity)} {len(case.sizes)}", *(f"{value:.17g}" for value in case.capacity)]
    for size, route in zip(case.sizes, case.routes, strict=True):
        links = [str(link) for link in route if link >= 0]
        lines.append(f"{size:.17g} {len(links)} {' '.join(links)}")
    given.write_text("\n".join(lines))
    subprocess.run([str(program), str(given), str(told), *OPTIONS], check=True, timeout=900)
    values = np.loadtxt(told)
    return float(values[0]), values[1:]


def main() -> None:
    """Compare the groups named, or the random ones."""
    finish_times([1.0], [[0]], [1.0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build(folder)
        for group in sys.argv[1:] or ["3,000 random flows", "10,000 random flows"]:
            ratios = []
            for case in GROUPS[group]():
                theirs, expected = simgrid(program, case, folder)
                ours, _ = seconds(case)
                found = finish_times(case.capacity, case.routes, case.sizes)
                error = float(np.max(np.abs(found - expected) / expected))
                ratios.append(theirs / ours)
                times = f"SimGrid {theirs:8.3f} s  ours {ours:7.4f} s  {ratios[-1]:6.0f}x"
                print(f"{case.name:28} {times}  largest difference {error:.1e}", flush=True)
            mean = np.exp(np.mean(np.log(ratios)))
            print(f"{group}: geometric mean {mean:.0f}x, least {min(ratios):.0f}x", flush=True)


if __name__ == "__main__":
    main()
