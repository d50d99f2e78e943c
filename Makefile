# `make help` says what there is. Every target makes the virtual environment it needs.

PYTHON ?= python3
PROFILE ?= quick
ARGS ?=

VENV := .venv
READY := $(VENV)/installed
PIP := $(VENV)/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input
# The environment's own commands come first, also for the processes that ours start.
RUN = PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.DEFAULT_GOAL := help
.PHONY: help reproduce publish test lint bench ui docs lock clean

help:
	@echo "make reproduce [PROFILE=quick] [ARGS=...]   run all studies of a profile; ARGS go to Snakemake, e.g. ARGS=-n"
	@echo "make publish [PROFILE=quick]                copy a finished profile's tables and figures to results/published"
	@echo "make test [ARGS=...]                        run the tests; ARGS go to pytest, e.g. ARGS='-k config'"
	@echo "make lint                                   check style and types: ruff, mypy, snakefmt, snakemake --lint"
	@echo "make docs                                   make the parts of the documents that come from the code, and the site of all"
	@echo "make bench                                  measure updates per second against the peers"
	@echo "make ui                                     start MLflow on this machine, to look at the runs"
	@echo "make lock                                   choose the newest versions and write requirements.lock"
	@echo "make clean                                  remove the virtual environment and caches; results stay"
	@echo
	@echo "The first call makes $(VENV) with $(PYTHON) (PYTHON=... names another, 3.11 or newer)."

reproduce: $(READY)
	@$(RUN) subcritic reproduce --profile $(PROFILE) $(ARGS)

publish: $(READY)
	@$(RUN) subcritic publish --profile $(PROFILE) $(ARGS)

# A file stays on one worker, so that what its tests share is made once; the files that take minutes come first. Two processes
# of one thread each are faster than threads that fight over the cores.
test: $(READY)
	@$(RUN) OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 10 $(ARGS)

lint: $(READY)
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) snakemake --lint

bench: $(READY)
	@$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.throughput $(ARGS)

docs: $(READY)
	@$(RUN) subcritic docs
	@$(RUN) python docs/site/build.py

ui: $(READY)
	@$(RUN) subcritic ui $(ARGS)

# The stamp is written last, so that an interrupted installation is taken up again.
$(READY): requirements.lock pyproject.toml
	@$(check_python)
	@echo "Installing the versions of requirements.lock into $(VENV): about two minutes, seconds when nothing changed."
	@rm -f $@
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# CUDA's own wheels and local build suffixes such as +cpu belong to one machine, not into the lock.
lock:
	@$(check_python)
	@echo "Installing the newest versions pyproject.toml allows into a temporary environment: minutes."
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(PYTHON) -m venv "$$folder" && \
	"$$folder/bin/python" -m pip --quiet --quiet --no-input install --editable '.[dev]' && \
	"$$folder/bin/python" -m pip --quiet freeze --all --exclude pip --exclude-editable > "$$folder/pins" && \
	{ echo "# Exact versions of everything the package and its tests need, for every platform. Made by \`make lock\`."; \
	  sed -E 's/\+[A-Za-z0-9.]+$$//' "$$folder/pins" | grep -v -E '^(nvidia|cuda|triton)'; } > "$$folder/lock" && \
	cp "$$folder/lock" requirements.lock
	@echo "Wrote requirements.lock: $$(grep -c == requirements.lock) versions."

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define check_python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "subcritic needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	echo "Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
endef
