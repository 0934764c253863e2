# Two commands do everything: `make demo` and `make test`. Each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
ARGS ?=
# Tests at a time, one more than the cores of a small machine: many wait for real processes. `make test JOBS=0` runs them one after another.
JOBS ?= 3

.PHONY: demo test nightly lint bench lock clean help

help:
	@echo "make demo    run the network on this machine   (ARGS=--exit ends by itself; see isogenic demo --help)"
	@echo "make test    run every test that a change must pass"
	@echo "make nightly run the long ones: many more seeds, power cuts, tamperings and kills"
	@echo "make bench   measure speed and memory, each figure beside its limit"
	@echo "make lint    formatting, lint and types"
	@echo "make lock    resolve the dependencies again after editing pyproject.toml"

# The environment: a venv, uv inside it, and exactly the packages of the hashed lock file.
$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/isogenic demo $(ARGS)

test: $(STAMP)
	@sh scripts/chromium.sh
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

nightly: $(STAMP)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m nightly $(ARGS)

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(STAMP)
	@$(BIN)/python -m bench $(ARGS)

lock: $(STAMP)
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --group dev --extra scale --extra sila --extra mqtt --extra fast --extra cluster pyproject.toml -o requirements.lock
	@touch -d '1 second ago' $(STAMP)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
