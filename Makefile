# Everything a person does with Stillmotion. Each target sets up what it needs by itself.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
BIN := .venv/bin
# What is installed: to run the bot and the demo, or the tools for development as well.
RUN := .venv/.run
READY := .venv/.ready
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' pyproject.toml
SIDE_BY_SIDE := --no-print-directory --jobs --output-sync=target

# The tests run in parts, each in a process of its own, all of them at once.
PARTS := processes flows logic below rest
# It warns that it does not measure the tests' own branches.
COVER := $(BIN)/python -W ignore::RuntimeWarning -m slipcover
WHOLE := -m "not browser"
QUICK := -m "not postgres and not browser"
MEASURE := $(BIN)/python
STARTS := tests/e2e/process/test_start.py tests/e2e/process/test_stop.py
processes := tests/e2e/process $(patsubst %,--ignore=%,$(STARTS))
# These flows are elsewhere, so that all parts end at about the same time.
MOVED := tests/e2e/loopback $(addprefix tests/e2e/test_,demo.py failures.py providers.py)
flows := tests/e2e $(patsubst %,--ignore=%,tests/e2e/process $(MOVED))
logic := tests/bot $(MOVED) --ignore=tests/bot/store --ignore=tests/bot/media
below := tests/bot/store tests/bot/media tests/providers
rest := $(STARTS) tests/cogs tests/discord_server $(wildcard tests/test_*.py)

.PHONY: help parts demo test run check lint types browser lock pictures bench-media bench-faults bench-rules bench-growth clean $(PARTS)

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

demo: $(RUN) ## Try the bot in a browser: no token, no key, no server
	@$(BIN)/python -m bot demo

test: $(READY) ## Run the tests, on SQLite
	@$(MAKE) $(SIDE_BY_SIDE) $(PARTS) CHOSEN='$(QUICK)'

# Most of what happens here happens in processes of their own, which are not measured.
processes rest: MEASURED := $(BIN)/python
$(PARTS): MEASURED ?= $(MEASURE)
$(PARTS):
	@echo "$@:" && PYTHONDONTWRITEBYTECODE= $(MEASURED) -m pytest -q $($@) $(CHOSEN)

browser: $(READY) ## Try the demo in Chromium, where there is one
	@$(BIN)/python -m pytest -q -m browser tests/e2e/test_demo.py

parts:
	@$(foreach part,$(PARTS),echo "$($(part))";)

run: $(RUN) ## Run the bot with the settings in .env
	@$(BIN)/python -m bot run

check: $(READY) ## What must be green before a commit: lint, types, the tests on both databases, coverage
	@rm -f .coverage.*
	@$(MAKE) $(SIDE_BY_SIDE) lint types $(PARTS) CHOSEN='$(WHOLE)' MEASURE='$(COVER) --json --out .coverage.$$@'
	@$(COVER) --merge .coverage.* --out .coverage --skip-covered --fail-under 95

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/basedpyright

lock: $(READY) ## Renew requirements.lock and requirements-dev.lock from pyproject.toml
	@$(LOCK) --upgrade --all-extras -o requirements-dev.lock
	@cp requirements-dev.lock requirements.lock
	@$(LOCK) --extra build --extra demo --extra postgres -o requirements.lock

pictures: $(READY) ## Take the pictures of docs/moderators.md anew
	@$(BIN)/python docs/pictures/take.py

bench-media: $(READY) ## Measure what fitting a video to an upload limit costs (minutes)
	@$(BIN)/python tests/bench/media.py

bench-faults: $(READY) ## Break what the bot stands on, and count what becomes of its jobs (minutes)
	@$(BIN)/python -m tests.bench.faults

bench-rules: $(READY) ## Try the rules of credits on some hundred stories (minutes)
	@STORIES=400 $(BIN)/python -m pytest -q --timeout 0 tests/bot/store/test_properties.py

bench-growth: $(READY) ## Measure what a command costs in a server with much history
	@$(BIN)/python tests/bench/growth.py

clean: ## Remove the virtual environment and everything built
	@rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .coverage*

$(RUN): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Stillmotion needs Python 3.11 or newer: https://www.python.org/downloads/"; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version): 400 MB, once, about a minute ..."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(READY): requirements-dev.lock $(RUN)
	@echo "Adding the tools for development: 600 MB, once, about a minute ..."
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@
