# Two commands are enough: `make run` and `make test`. Everything else is for those who change it0.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-long lint bench lock schema clean

run: $(VENV)/.base
	$(BIN)/it0 up

test: $(VENV)/.dev debian
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/.dev debian
	$(BIN)/python -m pytest -m long -o timeout=3600

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# What the tests need besides Python. Without the right to install it, those tests are skipped, loudly.
debian:
	@sh tests/support/debian.sh

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "it0 needs $(PYTHON) (3.11 to 3.13): make run PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: requirements/base.txt pyproject.toml | $(BIN)/python
	@echo "Setting up in $(VENV): about a minute."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.base
	@echo "Setting up what the tests need: about a minute."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# Locks every version with its hashes, for Python 3.11 to 3.13 on every platform; needs uv.
lock:
	for set in base dev claude voice; do \
	  extra=$$([ $$set = base ] || echo "--extra $$set"); \
	  uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 $$extra pyproject.toml requirements/build.in -o requirements/$$set.txt; \
	done

# What the migrations come to, as the one script that makes a new schema.
schema: $(VENV)/.dev
	$(BIN)/python -m core.store.migrations

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
