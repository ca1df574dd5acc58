# make demo | test | test-long | lint | docs | wheel-check | gpu-check | audit | sbom | clean | help
#
# Everything lands in .venv, build and runs of this folder: also the caches of pip, matplotlib and the model libraries.
# Other Python: make PYTHON=python3.12 ...   More options for pip: make PIP_ARGS="--find-links /my/wheels" ...
# A CUDA build of torch: install it into .venv first; pip then leaves it alone.

PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?=
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core-installed
DEV := $(VENV)/.dev-installed
DOCS := $(VENV)/.docs-installed
SECURITY := $(VENV)/security/.installed
PIP_INSTALL = $(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS)

# Two torch processes with two threads each are four times slower on two cores than with one.
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE = 1
export HF_HUB_DISABLE_TELEMETRY = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_CACHE_DIR ?= $(CURDIR)/$(VENV)/cache/pip
export XDG_CACHE_HOME = $(CURDIR)/$(VENV)/cache
export HF_HOME = $(CURDIR)/$(VENV)/cache/huggingface
export MPLCONFIGDIR = $(CURDIR)/$(VENV)/cache/matplotlib

.PHONY: help demo test test-long lint docs wheel-check gpu-check audit sbom clean distclean
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(CORE) ## paint scars into simulated hearts; ends with the path of a report
	@$(BIN)/lgesynthnet demo --out runs/demo

# All tests are shared between two processes; some of them are sooner done in one. Each process takes half of the tests in
# their order, so that most fixtures are made once, and the one that is ready first takes half of what is left.
# Without bytecode on disk, every process would compile the package and the tests anew.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(if $(PYTEST_ARGS),,--numprocesses $(WORKERS) --dist worksteal)

test: $(DEV) ## run the tests (PYTEST_ARGS="tests/data -k mirror" for some of them)
	@$(PYTEST) -m "not long" $(PYTEST_ARGS)

test-long: $(DEV) ## run the tests that take long by nature; `make test` has a short form of each
	@$(PYTEST) -m long $(PYTEST_ARGS)

lint: $(DEV) ## style, import contracts, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

docs: $(DOCS) ## build the documentation site into build/docs, strictly and offline
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site: build/docs/index.html"

wheel-check: $(DEV) ## build the wheel, install it into an empty environment and use it from another folder
	@PYTHON=$(BIN)/python PIP_ARGS="$(PIP_ARGS)" scripts/wheel_check.sh

audit: $(CORE) $(SECURITY) ## look up the installed packages in the database of known vulnerabilities (needs the network)
	@mkdir -p build
	@$(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > build/installed.txt
	@$(VENV)/security/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off -r build/installed.txt

sbom: $(CORE) $(SECURITY) ## write the software bill of materials of what is installed, in CycloneDX format
	@mkdir -p build
	@$(VENV)/security/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml --mc-type library -o build/sbom.json $(BIN)/python
	@echo "software bill of materials: build/sbom.json"

# Nothing is installed: the interpreter of .venv where there is one, else $(PYTHON), must have what the program needs.
GPU_CHECK_ARGS ?=
gpu-check: ## every training stage, synthesis and evaluation on a GPU, compared with the CPU (GPU_CHECK_ARGS="--device cuda:1")
	@PYTHONPATH=src $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) scripts/gpu_check.py $(GPU_CHECK_ARGS)

clean: ## remove what builds and tools leave behind; .venv and runs stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# torch first and alone, so that the tested build is chosen before anything else can ask for another one. hatchling is
# there to install the project without a second, unpinned build environment.
$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the program and what it needs (one to three minutes the first time)"
	@$(PIP_INSTALL) torch hatchling
	@$(PIP_INSTALL) --no-build-isolation -e .
	@touch $@

$(DEV): $(CORE)
	@echo "installing the tools for tests and lint"
	@$(PIP_INSTALL) --no-build-isolation -e ".[dev]"
	@touch $@

$(DOCS): $(CORE)
	@echo "installing the tools for the documentation site"
	@$(PIP_INSTALL) --no-build-isolation -e ".[docs]"
	@touch $@

# In an environment of their own, so that the list of what the program needs does not name the tools that make it.
$(SECURITY): | $(BIN)/python
	@echo "installing pip-audit and cyclonedx-bom"
	@$(BIN)/python -m venv $(VENV)/security
	@$(VENV)/security/bin/python -m pip install --quiet $(PIP_ARGS) "pip-audit>=2.7" "cyclonedx-bom>=5"
	@touch $@
