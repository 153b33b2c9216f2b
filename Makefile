# Everything that is done to this project, by name. `make help` lists it. Needs Python >= 3.11, cargo, make and g++.
#
#   HEADRACE_VENV      where the development environment is (default: .venv in this folder)
#   CARGO_TARGET_DIR   where compiled Rust goes (default: a cache folder outside this folder)
#   BENCH_CACHE        where the benchmarks' data and peers are kept (default: a cache folder outside this folder)
#   PYTHON             which Python makes the environment (default: python3)
#   PYTEST_ARGS        more arguments for pytest, CARGO_TEST_ARGS for cargo test, BENCH_ARGS for the benchmarks

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/headrace
export CARGO_TARGET_DIR ?= $(CACHE)/target
HEADRACE_VENV ?= $(CURDIR)/.venv
PYTHON ?= python3
BIN := $(HEADRACE_VENV)/bin
# Stamped with the sum of what is to be installed: a change of the lock, and only that, installs again.
REQUIREMENTS := requirements-dev.lock requirements-torch.txt
STAMP := $(HEADRACE_VENV)/.headrace-$(shell cat $(REQUIREMENTS) | cksum | cut -d' ' -f1)
BENCH_CACHE ?= $(CACHE)/bench
BENCH_STAMP := $(BENCH_CACHE)/.headrace-$(shell cat requirements-bench.txt requirements-bench-daft.txt | cksum | cut -d' ' -f1)

.PHONY: help venv lock build test test-rust test-python interop soak fuzz asan arm lint format wheel bench demo demo-stop clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## The development environment, pinned by requirements-dev.lock and requirements-torch.txt

$(STAMP):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "headrace needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(HEADRACE_VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-torch.txt
	rm -f $(HEADRACE_VENV)/.headrace-*
	touch $@

lock: ## Renew requirements-dev.lock after a change of requirements-dev.txt
	scripts/lock

build: venv ## Compile the engine; install headrace and metaflow-headrace, editable, into the environment
	VIRTUAL_ENV=$(HEADRACE_VENV) PATH="$(BIN):$$PATH" $(BIN)/maturin develop --release --locked
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e integrations/metaflow

test: test-rust test-python ## Rust tests, then Python tests on real servers

test-rust:
	cargo test --release --locked $(CARGO_TEST_ARGS)

test-python: build
	scripts/install_postgres
	$(BIN)/python scripts/install_interop || test $$? = 3
	$(BIN)/python -m pytest $(PYTEST_ARGS)

interop: build ## Beside Spark and Hive's metastores: needs a JDK 17 and Maven (`make test` runs it too, where they are)
	HEADRACE_INTEROP=require $(BIN)/python scripts/install_interop
	HEADRACE_INTEROP=require $(BIN)/python -m pytest tests/interop $(PYTEST_ARGS)

soak: build ## The random tests (crashes, state machine, lost answers) for HEADRACE_SOAK_SECONDS (600) each, counts printed
	scripts/install_postgres
	HEADRACE_SOAK_SECONDS=$${HEADRACE_SOAK_SECONDS:-600} $(BIN)/python -m pytest -s -m soak $(PYTEST_ARGS)

fuzz: ## Arbitrary bytes as files and metadata, for HEADRACE_FUZZ_SECONDS (60) in all
	scripts/fuzz

asan: venv ## Rust tests, and Python tests that hand memory over, under AddressSanitizer
	HEADRACE_PYTHON=$(BIN)/python scripts/asan

arm: ## Rust tests as built for 64-bit ARM, emulated: needs Debian's g++-aarch64-linux-gnu and qemu-user
	scripts/arm

lint: venv ## ruff, mypy strict, rustfmt, clippy; warnings are errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --ignore-missing-imports --exclude 'examples/metaflow|/flow\.py$$' benchmarks examples scripts/demo.py tests/faults tests/servers
	$(BIN)/mypy --ignore-missing-imports --allow-untyped-calls --explicit-package-bases integrations/metaflow/src
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

format: venv ## Format Python and Rust
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .
	cargo fmt --all

wheel: venv ## The wheels of headrace and metaflow-headrace, in dist/
	$(BIN)/maturin build --release --locked --out dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist integrations/metaflow

bench: build $(BENCH_STAMP) ## Every benchmark, us and the peers (BENCH_ARGS="--quick", "--only wide --rounds 3", ...)
	benchmarks/install_nginx
	$(BIN)/python -m benchmarks --folder $(BENCH_CACHE)/data --peers $(BENCH_CACHE) $(BENCH_ARGS)

# The peers, each with what it was released against, apart from headrace's own environment.
$(BENCH_STAMP):
	mkdir -p $(BENCH_CACHE)
	for each in peers:requirements-bench.txt daft:requirements-bench-daft.txt; do \
		test -x $(BENCH_CACHE)/$${each%%:*}/bin/python || $(PYTHON) -m venv $(BENCH_CACHE)/$${each%%:*}; \
		$(BENCH_CACHE)/$${each%%:*}/bin/python -m pip install --quiet --disable-pip-version-check -r $${each#*:}; \
	done
	rm -f $(BENCH_CACHE)/.headrace-*
	touch $@

demo: build ## SeaweedFS with a real table, then examples/quickstart.py; run again, it reuses what stands
	$(BIN)/python scripts/demo.py

demo-stop: ## End the demo's server (its data stays in .work/demo)
	$(PYTHON) scripts/demo.py --stop

clean: demo-stop ## Remove what this folder's builds and demo left, and nothing outside it
	rm -rf integrations/metaflow/build integrations/metaflow/src/*.egg-info
	rm -rf dist .work .mypy_cache .ruff_cache .pytest_cache .hypothesis python/headrace/*.so
