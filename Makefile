# Everything happens in a virtual environment of this folder; `make help` lists the targets.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# What has no wheel is built with the pinned tools of requirements-build.txt instead of whatever is newest.
INSTALL := $(PIP) install --require-hashes --no-build-isolation --use-pep517
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help run test test-long test-vm lint format bench soak deb rpm pins clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/.run ## Run the daemon in the foreground as the present user; ARGS="--set api.port=9000" adds options
	@exec $(BIN)/resourced run $(ARGS)

test: $(VENV)/.test ## Run the tests and hold the coverage to the bound in pyproject.toml; ARGS="-k word" adds options
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n auto --maxprocesses 4 $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered $(if $(ARGS),--fail-under=0)

test-long: $(VENV)/.long ## Test the API at length: thousands of made and broken requests, crowds, Prometheus, a browser
	$(BIN)/python -m pytest -q -n0 -m long tests/long -rs $(ARGS)

test-vm: $(VENV)/.test ## Test the package in a virtual machine with a real systemd; root, about ten minutes
	$(BIN)/python -m pytest -m vm -n0 --timeout 1200 tests/system $(ARGS)

lint: $(VENV)/.lint ## Check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.lint ## Put the sources into shape
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(VENV)/.test ## Run the benchmarks; minutes, on a machine that does nothing else
	$(BIN)/python -m tests.bench $(ARGS)

deb: $(VENV)/.build ## Make the Debian package in dist/, for the Debian whose python3 has PYTHON's minor version
	@PYTHON=$(BIN)/python packaging/deb

soak: $(VENV)/.test ## Run the daemon under changing load and see that nothing grows; ARGS="--minutes 30", by default 3
	$(BIN)/python -m tests.bench.soak $(ARGS)

rpm: $(VENV)/.build ## Make the RPM package in dist/, for the distribution whose python3 has PYTHON's minor version
	rpmbuild -bb packaging/resourced.spec --quiet --nodeps --define "source $(CURDIR)" --define "python $(CURDIR)/$(BIN)/python" \
	  --define "_topdir $(CURDIR)/build/rpm" --define "_rpmdir $(CURDIR)/dist"

pins: $(VENV)/.pins ## Renew the pinned versions in packaging/ from the ranges in pyproject.toml
	$(BIN)/python packaging/pins.py

clean: ## Remove the virtual environment and what checks leave behind
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "resourced needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." \
	       "Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) can't make virtual environments; install its venv package (on Debian: python3-venv)." >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.build: packaging/requirements-build.txt | $(VENV)/.made
	@$(PIP) install --require-hashes -r $<
	@touch $@

$(VENV)/.run: packaging/requirements.txt pyproject.toml $(VENV)/.build
	@echo "Installing what the daemon needs"
	@$(INSTALL) -r $<
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: packaging/requirements-test.txt $(VENV)/.run
	@echo "Installing what the tests need"
	@$(INSTALL) -r $<
	@touch $@

$(VENV)/.lint: packaging/requirements-lint.txt $(VENV)/.long
	@echo "Installing the linters"
	@$(INSTALL) -r $<
	@touch $@

$(VENV)/.long: packaging/requirements-long.txt $(VENV)/.test
	@echo "Installing what makes requests"
	@$(INSTALL) -r $<
	@touch $@

$(VENV)/.pins: pyproject.toml $(VENV)/.made
	@$(PIP) install pip-tools
	@touch $@
