# Two commands do all: `make demo` and `make test`. Both set up a local environment first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest -q -p no:cacheprovider

.DEFAULT_GOAL := help
.PHONY: help setup system demo test slow fuzz lab lab-guests wheel-test lint types bench notebooks docs lock regold clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## a local environment with everything that is locked

$(STAMP): pyproject.toml requirements/dev.lock
	@echo "setting up $(VENV) (once; about a minute)"
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv -q --allow-existing --python $(PYTHON) $(VENV) && uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.lock && uv pip install -q --python $(BIN)/python --no-deps -e . ; \
	else \
	  $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock && $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e . ; \
	fi
	@touch $@

system: ## programs that some tests need, installed as root, otherwise named
	@scripts/system-packages

demo: $(STAMP) ## the whole story on a shipped machine
	@$(BIN)/simkit demo

test: $(STAMP) system ## the everyday tests
	$(PYTEST) -n 2 -m "not slow and not lab and not deep"

slow: $(STAMP) system ## the tests that need minutes, and every reader fuzzed deeply
	$(PYTEST) -m "(slow or deep) and not lab"
	HYPOTHESIS_PROFILE=deep $(PYTEST) -n 2 -k "break or breaks"

fuzz: $(STAMP) ## evidence mutated by seed: make fuzz FUZZ_COUNT=1000000
	FUZZ_COUNT=$(or $(FUZZ_COUNT),20000) $(PYTEST) -s -n 2 -m deep tests/attest/test_evidence_fuzz.py

lab: $(STAMP) system ## stock kernels booted on emulated machines: make lab COUNT=200
	@scripts/lab-kernels
	LAB_COUNT=$(COUNT) $(PYTEST) -s -m lab

lab-guests: $(STAMP) system ## guests of plans, booted and held against the plan: make lab-guests COUNT=40
	@scripts/lab-kernels
	LAB_COUNT=$(COUNT) $(PYTEST) -s tests/emulated/test_guest_boots.py

wheel-test: $(STAMP) ## the wheel alone, in an empty environment
	$(PYTEST) tests/test_wheel.py

lint: $(STAMP) ## style
	$(BIN)/ruff check .

types: $(STAMP) ## types, strictly
	$(BIN)/mypy

bench: $(STAMP) ## figures, measured here and now
	$(BIN)/python -m bench

notebooks: $(STAMP) ## execute the notebooks
	$(BIN)/python -m notebooks.run

docs: $(STAMP) ## the public interface as pages in build/docs
	$(BIN)/pdoc -o build/docs simkit

lock: ## make the lock files anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements/runtime.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra dev pyproject.toml -o requirements/dev.lock

regold: $(STAMP) ## rewrite the expected files of the golden tests; read the diff
	REGOLD=1 $(PYTEST) tests/formats/test_render_golden.py tests/models/test_answers.py tests/attest/flow/test_flow_page.py

clean: ## remove what was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
