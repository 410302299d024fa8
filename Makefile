# make demo: see the whole job done. make test: everything that must hold. Both need only Python 3.11+, venv and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/vlures run --sandbox

.PHONY: demo test lint types floors unit contract bench clean

demo: $(VENV)/.installed
	$(RUN) -c configs/sandbox.toml --backend openai --name demo-openai
	$(RUN) -c configs/sandbox.toml --backend gemini --name demo-gemini
	@$(BIN)/python tests/show_answers.py outputs/sandbox-demo-openai outputs/sandbox-demo-gemini

test: lint types floors unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

floors: $(VENV)/.installed-dev
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -n 3 --dist worksteal tests

# The reliability page and the model of the protocol: long, and not yet part of `make test`.
contract: $(VENV)/.installed-dev
	VLURES_MODEL_EXAMPLES=200 $(BIN)/pytest -n 2 --dist worksteal -o addopts=-q tests/e2e/test_reliability.py tests/test_protocol_model.py

bench: $(VENV)/.installed-dev
	$(BIN)/python tests/benchmarks/run_all.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
