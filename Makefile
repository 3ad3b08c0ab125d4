# The verbs of this repository, for people and CI alike. `make` alone lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

# The Python that .venv is made with: the first of these that is 3.11 or newer. Override: make setup PYTHON=/usr/bin/python3.12
PYTHON ?=
# More arguments for pytest, e.g. make test PYTEST_ARGS='-k envelope -x'
PYTEST_ARGS ?=

BIN := .venv/bin
MEMBERS := $(sort $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml ingress/pyproject.toml services/*/pyproject.toml cli/pyproject.toml)))

.PHONY: help
help: ## list these verbs
	@awk 'BEGIN {FS = ":.*## "; print "make …"} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: ## make .venv with everything; installs missing Debian packages (root or sudo)
	@PYTHON='$(PYTHON)' sh tools/setup.sh

.PHONY: demo
demo: setup ## start the whole system, send the four test messages, show what became of them
	@$(BIN)/qscan demo

.PHONY: readers
readers: setup ## install the other readers of mail that qscan is compared with
	@sh tools/readers.sh

.PHONY: test
test: setup readers check ## check, then run every test
	@$(BIN)/pytest $(PYTEST_ARGS)

.PHONY: check
check: setup ## lint, format, own rules, dependencies, import rules, types
	@sh tools/check.sh $(MEMBERS)

.PHONY: bench
bench: setup ## benchmark side by side with clamd alone
	@$(BIN)/python -m benchmarks.run

.PHONY: bench-unpack
bench-unpack: setup ## benchmark of the dissector beside other parsers, and its worst cases
	@$(BIN)/python -m benchmarks.unpack

.PHONY: chaos
chaos: setup ## the long kill test: 20 kills per process
	@$(BIN)/pytest tests/chaos --chaos-kills=20 $(PYTEST_ARGS)

# How long `make fuzz` looks
SECONDS ?= 600

.PHONY: fuzz
fuzz: setup ## look for mail that is dissected wrongly: make fuzz SECONDS=3600
	@$(BIN)/python -m tests.corpus.fuzzing --containers --seconds $$(($(SECONDS) / 10))
	@$(BIN)/python -m tests.corpus.fuzzing --seconds $(SECONDS)

.PHONY: fmt
fmt: setup ## format, and fix what ruff can fix safely
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format .

.PHONY: generate
generate: setup ## write the committed files that are generated: schemas, openapi.json, deploy/
	@$(BIN)/python -m tools.generated

.PHONY: lock
lock: ## write requirements/*.txt; newer versions only with UPGRADE=yes
	@test -x $(BIN)/pip-compile || PYTHON='$(PYTHON)' sh tools/setup.sh
	@$(BIN)/python -m tools.lock $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## remove what the other verbs have made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
