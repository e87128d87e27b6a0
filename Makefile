# Every target works first thing on a fresh machine; `make help` lists them.
# Debian's is the one in the image, and a quarter quicker than one that a version manager has built.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11) python3)
BIN := .venv/bin
UV := VIRTUAL_ENV=.venv $(BIN)/uv pip
LOCKS := $(patsubst %,requirements/%.lock,build runtime dev docs)
LOCKED := --quiet --no-deps --require-hashes $(LOCKS:%=-r %)
# For the Python of Debian 12, the oldest that is promised.
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --upgrade --python-version 3.11.2
PARALLEL := --numprocesses auto
# Of ten thousand tests one meets a moment in which a shared machine stands still. What failed in CI is
# tried once more, in a process and on servers of its own: what is wrong fails again, and both are reported.
# What a test drew by lot is the same once more.
ONCE_MORE := $(if $(CI),|| HANSA_ONCE_MORE=1 $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 1)
# They wait for servers for a fifth of their time: one more than most CI machines have processors.
WAITING := --numprocesses 3
LONGEST := $(addprefix tests/apiserver/,faults guard hub member lock charts ledger simulation)
SERVERS := $(LONGEST) $(filter-out $(LONGEST),$(sort $(patsubst %/,%,$(dir $(wildcard tests/apiserver/*/*.py)))))
PURE := grants model placement reconcile
CORE := api $(PURE)
AROUND := $(filter-out $(CORE),$(patsubst operator/hansa/%/__init__.py,%,$(wildcard operator/hansa/*/__init__.py)))
PURE_TESTS := tests/api $(PURE:%=tests/unit/%)
.DEFAULT_GOAL := help
# Without bytecode each of the hundred processes that tests start compiles all it imports, for 3 s.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup lint types test test-fast demo docs crds lock soak prepare down clean \
        bench-hub bench-league bench-plan bench-incremental bench-ledger bench-trace bench-verify prove \
        release release-check changelog

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: .venv/ready ## Python environment from the lock files

.venv/ready: $(LOCKS) pyproject.toml
	@echo "==> Python environment (requirements/*.lock)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv 2>/dev/null \
	  || (rm -rf .venv && apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv .venv)
	@$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements/build.lock
	@$(UV) install $(LOCKED) || $(BIN)/pip install $(LOCKED)  # a mirror that only pip.conf names
	@$(UV) install --quiet --no-deps --no-build-isolation -e . && $(UV) check --quiet
	@touch $@

lint: setup ## types, style, layers, generated files, charts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory types
	$(BIN)/lint-imports
	$(BIN)/python -m e2e.lint

types: setup ## mypy, with its cache outside the checkout
	$(BIN)/mypy --cache-dir "$${XDG_CACHE_HOME:-$$HOME/.cache}/hansa/mypy"

test: test-fast ## all tests: those of test-fast, Helm and promtool, API servers, real pods
	-$(BIN)/python -m e2e prepare  # here the wait is seen; what is not to be had, the tests tell
	$(BIN)/python -m pytest tests/e2e $(ONCE_MORE)  # by itself: two leagues of real pods at once are too many
	$(BIN)/python -m pytest $(SERVERS) tests/programs $(WAITING) --dist loadfile --no-loadscope-reorder $(ONCE_MORE)

test-fast: setup ## no cluster, nothing built; fails where the pure layers or the shell are not covered
	$(BIN)/python -m pytest $(PURE_TESTS) $(CORE:%=--cov=hansa.%) --cov-fail-under 97 $(PARALLEL) --dist worksteal $(ONCE_MORE)
	$(BIN)/python -m pytest tests/unit $(PURE_TESTS:%=--ignore=%) $(AROUND:%=--cov=hansa.%) --cov-fail-under 90 \
	  $(PARALLEL) --dist worksteal $(ONCE_MORE)
	$(BIN)/python -m pytest tests/random tests/simulation tests/prove $(PARALLEL) --dist worksteal $(ONCE_MORE)

demo: setup ## the league, end to end, on this machine; KEEP=1 leaves it running
	$(BIN)/python -m e2e demo $(if $(KEEP),--keep)

down: setup ## remove whatever a testbed left behind
	$(BIN)/python -m e2e down

bench-league: setup ## apply → grant → RayJob, real API servers
	$(BIN)/python -m e2e.bench.league

bench-hub: setup ## a hub with thousands of jobs that wait, real API server
	$(BIN)/python -m e2e.bench.hub

bench-plan: setup ## full replans against the LP and simple rules
	$(BIN)/python -m e2e.bench.bench_plan

bench-incremental: setup ## 100,000 events
	$(BIN)/python -m e2e.bench.bench_incremental

bench-ledger: setup ## postings a second in both databases, the set-off against the LP
	$(BIN)/python -m e2e.bench.ledger

bench-trace: setup ## 109 days of a real trace in virtual time
	$(BIN)/python -m e2e.bench.bench_trace

bench-verify: setup ## what cheats earn under the audits, and what a capacity probe costs
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m e2e.bench.verification

prove: setup ## 300 seeds of faults in virtual time, plans of faults on real servers, deliberate defects; JSON last
	$(BIN)/python -m tests.prove

soak: setup ## long property runs, then 10,000 seeds of the simulation: ^C ends it and says how to go on
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m tests.simulation --seeds 10000 --workers 2

docs: setup ## build the documentation
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

crds: setup ## regenerate everything generated
	$(BIN)/python -m hansa.api.generate.schema --write crds
	$(BIN)/python -m hansa.cli.generated.reference --write docs/reference
	$(BIN)/python -m hansa.observability.generate --write .
	$(BIN)/python -m hansa.cli.generated.values --write helm
	$(BIN)/python -m tests.apiserver.lock.table --write docs/reference
	$(BIN)/python -m tests.unit.reconcile.member.inventory.table --write docs/reference

prepare: setup ## find, download or build what the testbed runs: programs, images
	$(BIN)/python -m e2e prepare

lock: setup ## refresh requirements/*.lock; each takes from those before it what it shares with them
	$(COMPILE) pyproject.toml -o requirements/runtime.lock
	$(COMPILE) --group build -c requirements/runtime.lock -o requirements/build.lock
	$(COMPILE) --group dev -c requirements/runtime.lock -c requirements/build.lock \
	  -o requirements/dev.lock
	$(COMPILE) --group docs -c requirements/runtime.lock -c requirements/build.lock \
	  -c requirements/dev.lock -o requirements/docs.lock

changelog: setup ## what the next release will say, from changes/
	$(BIN)/towncrier build --draft --version next

release: setup ## wheel, charts and bill of materials into dist/; the image: see Containerfile
	$(BIN)/python -m e2e.release

release-check: setup ## build them twice, and compare
	$(BIN)/python -m e2e.release --check

clean: down ## remove the environment and build outputs
	rm -rf .venv docs/_build dist
