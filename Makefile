# Every recipe does all its own set-up on a bare machine with Python 3.11; a second call is quick.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMPILED := $(VENV)/.compiled
KERNELS := $(wildcard janus_sim/network/*.py)

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types floors schemas headline uncertainty uncertainty-figure bench install clean

help:
	@echo "make demo      install, then run the quickstart: Janus against expert-centric on 32 GPUs"
	@echo "make test      install, then run the tests"
	@echo "make check     install, then ruff, mypy and import-linter"
	@echo "make headline  install, then run the full experiments of docs/model.md (minutes)"
	@echo "make uncertainty  install, then the headline under 100 draws of its constants (half an hour)"
	@echo "make schemas   install, then write schemas/, by which editors check the YAML files"
	@echo "make bench     install, then run the benchmarks"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed; none was found" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

# A small run compiles all kernels; they are kept beside their sources.
$(COMPILED): $(INSTALLED) $(KERNELS)
	$(BIN)/python -c "from janus_sim import Scenario, simulate; simulate(Scenario(topology='two_gpus', workload='moe_bert', policy='data_centric'))"
	@touch $@

install: $(COMPILED)

demo: $(COMPILED)
	$(BIN)/janus-sim demo

test: $(COMPILED)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

check: lint types floors

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

floors: $(INSTALLED)
	$(BIN)/lint-imports

schemas: $(INSTALLED)
	$(BIN)/janus-sim schema --write schemas

headline: $(COMPILED)
	$(BIN)/janus-sim run janus_speedup
	$(BIN)/janus-sim run janus_ablation
	$(BIN)/janus-sim run janus_unified
	$(BIN)/janus-sim run janus_goodput
	$(BIN)/janus-sim run janus_batch_size
	$(BIN)/janus-sim run janus_uplink
	$(BIN)/janus-sim run skew

uncertainty: $(COMPILED)
	$(BIN)/janus-sim uncertainty janus_uncertainty --jobs 2

uncertainty-figure: $(INSTALLED)
	$(BIN)/python docs/images/uncertainty.py

bench: $(COMPILED)
	$(BIN)/python -m pytest benchmarks/bench_*.py -s --benchmark-columns=min,mean,max

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
