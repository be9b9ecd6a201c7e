# Everything runs in .venv, made on first use; nothing below needs the network once it is installed.
#   make demo | test | lint | bench | clean        PYTHON=python3.12 make test   picks the interpreter
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PINS := constraints-cpu.txt

# Threads that wait sleep instead of spinning: several times faster on a busy machine.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test lint format bench install install-dev clean

help:
	@echo "make demo    train on unlabelled digits, write a report (about 3 minutes)"
	@echo "make test    run the tests"
	@echo "make lint    ruff check, ruff format --check, mypy"
	@echo "make bench   measure speed and quality"
	@echo "make clean   remove .venv and caches (runs/ stays)"

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nemgan needs Python 3.11 or newer: PYTHON=python3.12 make ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml $(PINS)
	$(PIP) install --quiet -c $(PINS) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet -c $(PINS) -e '.[dev]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(PIP) install --quiet -c $(PINS) -e '.[bench]'
	@touch $@

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

demo: $(VENV)/.installed
	$(BIN)/nemgan demo

# One worker a core, one thread a worker. WORKERS=0 runs all in one process, as a debugger needs.
WORKERS ?= auto

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 8 --dist worksteal $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-bench
	@set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
