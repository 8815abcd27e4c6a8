# The commands of this project; people and CI use the same ones.
#   make demo        a street of sixty devices, its data concentrator and a page on http://127.0.0.1:8080 (ONCE=1: some hours, then exit)
#   make test        everything that must hold before a change goes in
#   make test-long   the long fuzzing and endurance tests
#   make lint | format | docs | bench | bench-phy (curves of the power-line receiver)
# A virtual environment is made in .venv at the first call and kept; PYTHON=… chooses the interpreter.
.POSIX:
SHELL = /bin/sh
VENV = .venv
BIN = $(VENV)/bin
VENV2 = .venv313
PIP = -m pip install --quiet --disable-pip-version-check --no-input
CORE = tests/wire tests/tables tests/crypto tests/mep tests/c1218 tests/sim/test_medium.py tests/sim/test_street.py
# Three on two cores: a good part of the tests waits, for processes and for lines.
WORKERS = 3
# What was compiled is kept, also where the environment says otherwise: the tests start some hundred processes that read it again.
PYTHONDONTWRITEBYTECODE =
export PYTHONDONTWRITEBYTECODE
ONCE =

.PHONY: help demo test test-long docs lint format bench bench-phy kernels collected system pytest second second-python clean

help:
	@sed -n '2,6s/^# //p' Makefile

demo: $(VENV)/.stamp-run
	$(BIN)/osgp demo $$([ -z "$(ONCE)" ] || echo --once)

# One core each for what needs only one; then all cores for the tests.
test: system $(VENV)/.stamp-test
	@$(MAKE) -j 2 lint docs kernels second-python collected
	@$(MAKE) pytest second
	@echo "make test: all passed"

test-long: system $(VENV)/.stamp-test
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -n $(WORKERS) -m long

lint: $(VENV)/.stamp-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/python tools/changelog.py check

format: $(VENV)/.stamp-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pytest: system $(VENV)/.stamp-test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

docs: $(VENV)/.stamp-test
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

bench: system $(VENV)/.stamp-test
	$(BIN)/osgp bench

bench-phy: $(VENV)/.stamp-test
	$(BIN)/python tools/phy_curves.py --fresh

# Compiled once, before processes that work side by side would each do it.
kernels: $(VENV)/.stamp-test
	$(BIN)/python -m pytest -p no:xdist tests/plc/test_kernels.py tests/bench/test_phy.py \
		tests/sim/test_domains.py::test_another_seed_is_another_run

# The tests themselves compiled once, before each worker would do it; what cannot be collected is told by `pytest`.
collected: $(VENV)/.stamp-test
	@$(BIN)/python -m pytest -p no:xdist --collect-only >/dev/null || true

# The floors below the node once more on Python 3.13, where the machine has it; and one seed gives the same capture on both.
second: $(VENV)/.stamp-test second-python
	@if [ -e $(VENV2)/.stamp ]; then \
		$(VENV2)/bin/python -m pytest -n $(WORKERS) $(CORE) || exit 1; \
		first=$$($(BIN)/python -m tests.sim.same_bytes) && second=$$($(VENV2)/bin/python -m tests.sim.same_bytes) || exit 1; \
		[ "$$first" = "$$second" ] || { echo "captures of one seed differ between the two interpreters" >&2; exit 1; }; \
	fi

second-python: $(VENV)/.stamp-test
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then \
		echo "second interpreter: not needed, .venv is Python 3.13 or later"; \
	elif python=$$(tools/find-python 3.13); then \
		echo "second interpreter: $$python"; \
		if [ ! -e $(VENV2)/.stamp ] || [ -n "$$(find pyproject.toml -newer $(VENV2)/.stamp)" ]; then \
			"$$python" -m venv $(VENV2) && $(VENV2)/bin/python $(PIP) -e '.[all,test]' && touch $(VENV2)/.stamp || exit 1; \
		fi; \
	else \
		rm -f $(VENV2)/.stamp; \
		echo "second interpreter: no working Python 3.13 found, its run is left out"; \
	fi

system:
	@tools/system-packages

# What `osgp` needs to run, and what developing it needs. The second contains the first.
$(VENV)/.stamp-run: pyproject.toml
	@[ -x $(BIN)/python ] || tools/find-python >/dev/null || { echo "Python 3.11 or later is needed." >&2; exit 1; }
	@[ -x $(BIN)/python ] || "$$(tools/find-python)" -m venv $(VENV)
	@echo "installing into $(VENV) (once)"
	@$(BIN)/python $(PIP) -e '.[all]'
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-run
	@echo "installing the tools for tests and docs into $(VENV) (once)"
	@$(BIN)/python $(PIP) -e '.[all,docs,dev,bench]'
	@touch $@

clean:
	rm -rf $(VENV) $(VENV2) docs/_build dist build
