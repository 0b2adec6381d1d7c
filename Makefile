# Powerhouse: every task of a working day. `make` alone explains them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := services gateway embedded bench protos tests deploy
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml

.PHONY: help run setup test check bench chaos mutants fuzz lint format protos protos-baseline migrate lock clean

help: ## Explain every target
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

run: setup protos ## Start everything on this machine at http://127.0.0.1:8080 (POWERHOUSE_PORT changes it); Ctrl-C stops it
	@exec $(BIN)/python -m embedded

setup: ## Make or refresh .venv from the hashed lock
	@$(PYTHON) embedded/toolchain.py

test: setup protos ## Check everything and run every test, on both brokers
	@$(BIN)/python tests/packages.py
	@$(MAKE) lint
	@exec $(BIN)/python -m pytest --numprocesses 3 --dist loadgroup --cov --cov-report term:skip-covered --cov-fail-under 85 --ignore tests/chaos

check: setup protos ## Run some tests: make check ARGS="tests/unit -k policy"
	@exec $(BIN)/python -m pytest --ignore tests/chaos $(ARGS)

chaos: setup protos ## Kill processes, at each step of a payment too, and wipe the broker under load (an hour); CHAOS_KILLS, CHAOS_FAULTS, CHAOS_SEED steer it
	@exec $(BIN)/python -m pytest -s tests/chaos

mutants: setup protos ## Take each guard away in turn and see its test fail (make test does every fourth)
	@POWERHOUSE_ALL_MUTANTS=1 exec $(BIN)/python -m pytest --numprocesses 3 tests/mutants

fuzz: setup protos ## Call every operation of the API with 200 made-up requests (ten minutes); FUZZ_EXAMPLES=100 of each kind
	@POWERHOUSE_FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-100} exec $(BIN)/python -m pytest -s tests/e2e/test_api_fuzz.py

bench: setup protos ## Book by pgbench, gRPC and REST, generate classes; ratios and CPU (10 minutes; ARGS="--rounds 2 --seconds 2", ARGS=recurring, ARGS=reminders, ARGS=payments)
	@exec $(BIN)/python -m bench $(ARGS)

lint: setup protos ## Check style, types, import rules and contracts
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint gen/image.binpb --config protos/buf.yaml
	$(BIN)/buf breaking gen/image.binpb --config protos/buf.yaml --against protos/baseline.binpb

format: setup ## Rewrite the code in the house style
	@$(BIN)/ruff check --fix $(wildcard $(CODE))
	@$(BIN)/ruff format $(wildcard $(CODE))

protos: setup ## Generate gen/ from protos/ when the contracts have changed
	@$(BIN)/python protos/generate.py

protos-baseline: protos ## Accept the contracts of today as what `make lint` compares with
	@$(BIN)/buf build gen/image.binpb --exclude-source-info --output protos/baseline.binpb

migrate: setup protos ## Bring the databases named by POWERHOUSE_DATABASE_URL up to date
	@$(BIN)/python -m embedded.migrate

lock: setup ## Renew both locks from pyproject.toml: what production installs, and that with all tools
	$(BIN)/$(LOCK) --output-file requirements.lock
	$(BIN)/$(LOCK) --extra embedded --extra dev --output-file requirements-dev.lock

clean: ## Remove what can be made again: .venv, gen, caches. Keeps var/ (your data)
	@rm -rf $(VENV) gen .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
