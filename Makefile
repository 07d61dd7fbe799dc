# Everything a person or CI runs. Each target sets itself up: a fresh clone needs only Python 3.11+.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python -m

# One stamp for this lock, this interpreter and this folder: any of them changing sets up again.
READY := $(VENV)/.ready-$(shell { cat requirements-dev.lock pyproject.toml; pwd; \
  $(PYTHON) -V; } 2>&1 | sha256sum | cut -c1-16)

.PHONY: help setup demo test lint trust outage bench bench-quick dashboards docs lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## Make .venv from the lock file (the other targets do it by themselves)

$(READY): requirements-dev.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "ihwatch needs Python 3.11 or newer" >&2; exit 1; }
	@echo "setting up $(VENV) (once for each lock file)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) pip install --quiet --disable-pip-version-check --no-input --no-deps \
	  --require-hashes -r requirements-dev.lock
	@$(RUN) pip install --quiet --disable-pip-version-check --no-input --no-deps \
	  --no-build-isolation --editable .
	@rm -f $(VENV)/.ready-*
	@touch $@

demo: $(READY)  ## Show the whole way in one process, in under two minutes
	@$(VENV)/bin/ihwatch demo

test: lint  ## Lint, then all tests but the slow ones
	@$(RUN) pytest -q

lint: $(READY)  ## ruff and mypy --strict
	@$(RUN) ruff check --quiet .
	@$(RUN) ruff format --quiet --check .
	@$(RUN) mypy --no-error-summary

trust: $(READY)  ## The slow tests: kills, rebalances and long runs on a real Kafka
	@$(RUN) pytest -q -m slow

outage: $(READY)  ## A real broker that dies and returns; wants a machine of its own
	@$(RUN) pytest -q -m outage

# What is measured beside the worker lives in an environment of its own.
PEERS := .cache/bench-venv
PEERS_READY := $(PEERS)/.ready-$(shell { cat bench/requirements-peers.lock; pwd; \
  $(PYTHON) -V; } 2>&1 | sha256sum | cut -c1-16)

bench: $(READY) $(PEERS_READY)  ## Measure throughput on a real Kafka and write docs/benchmarks.md
	@$(RUN) bench

bench-quick: $(READY) $(PEERS_READY)  ## The same once with a small load, in under two minutes
	@$(RUN) bench --quick

$(PEERS_READY): bench/requirements-peers.lock
	@echo "setting up $(PEERS) (once for each lock file)"
	@rm -rf $(PEERS)
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
	  --require-hashes -r bench/requirements-peers.lock
	@touch $@

dashboards: $(READY)  ## Rebuild the Grafana boards (dashboards/json)
	@$(VENV)/bin/ihwatch boards build

docs: $(READY)  ## Rebuild what is generated in docs/
	@$(RUN) schemas.settings --docs
	@$(RUN) streams.rule_docs

# --resolver and hashes are the same on every machine; no option, host or path is written down.
COMPILE = env -u PIP_FIND_LINKS CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/bin/python -m piptools \
  compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-options \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links pyproject.toml

lock: $(READY)  ## Resolve the dependencies anew into the lock files
	@$(COMPILE) --extra dev --extra embedded --extra build --output-file requirements-dev.lock
	@$(COMPILE) --extra build --constraint requirements-dev.lock --output-file requirements.lock

clean:  ## Remove what make made here (.venv, caches, run data)
	@rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache ihwatch-data ihwatch-demo
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
