# `make help` lists the targets. `demo`, `test` and the rest make .venv themselves; a change of
# pyproject.toml brings it up to date. ARGS goes to the command: make test ARGS="-k bucket".

PYTHON ?= python3
ARGS ?=

bin := .venv/bin

# `make` runs a recipe's line in a shell. `exec` puts the command in that shell's place, so that
# Ctrl-C and SIGTERM reach it and nothing in between.
.PHONY: help demo ui test test-ui torture stress bench bench-quick lint typecheck docs dist clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

demo: .venv/installed-demo ui ## JupyterLab with real-time collaboration on an embedded S3
	@PATH="$(CURDIR)/$(bin):$$PATH" exec $(bin)/jupyter bookstore demo $(ARGS)

ui: .venv/linked-ui ## build the JupyterLab extension, if its source has changed

test: .venv/installed-test .venv/linked-ui ## the tests that can run on this machine, slow ones apart
	@exec $(bin)/pytest --numprocesses auto $(ARGS)

test-ui: ui/node_modules/.installed ## the unit tests of the JupyterLab extension
	@cd ui && exec npm test

torture: .venv/installed-test ## hold what is promised of updates against kills, outages and faults
	@exec $(bin)/python -m harness.torture $(ARGS)

stress: .venv/installed-stress ## real-time collaboration under load, with faults: under ten minutes
	@exec $(bin)/jupyter bookstore stress --scenario all --users 12 --documents 3 --duration 12 --within 600 $(ARGS)

bench: .venv/installed-bench ## measure against other stores and the least possible: a quarter of an hour
	@$(bin)/python -m benchmarks --json benchmarks/results.json $(ARGS) && exec $(bin)/python -m benchmarks.report

bench-quick: .venv/installed-bench ## the same, small and few: about a minute
	@exec $(bin)/python -m benchmarks --quick $(ARGS)

lint: .venv/installed-dev ## ruff: rules and formatting; import-linter: who may import whom
	@$(bin)/ruff check . && $(bin)/ruff format --check . && exec $(bin)/lint-imports --no-logo

typecheck: .venv/installed-dev ## mypy --strict
	@exec $(bin)/mypy $(ARGS)

docs: .venv/installed-docs ## the documentation, into docs/_build/html
	@exec $(bin)/sphinx-build -W --keep-going -b html docs docs/_build/html

dist: .venv/installed-dev ui ## the sdist and the wheel, into dist/
	@exec $(bin)/python -m build

clean: ## remove what was made, .venv too
	rm -rf .venv build dist docs/_build tests/js/node_modules ui/node_modules ui/lib bookstore_y/labextension .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find bookstore_y tests harness -name __pycache__ -type d -prune -exec rm -rf {} +

# What an extra needs is installed, and the package itself in editable mode.
.venv/installed-%: pyproject.toml | .venv/bin/python
	$(bin)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@

# JupyterLab finds the extension by a link, so that a new build shows on the next reload.
extensions := .venv/share/jupyter/labextensions
ui-sources := $(wildcard ui/src/*.ts ui/src/*.tsx ui/style/* ui/schema/*) ui/package.json ui/tsconfig.json

.venv/linked-ui: bookstore_y/labextension/package.json | .venv/bin/python
	@mkdir -p $(extensions) && rm -rf $(extensions)/bookstore-y
	@ln -s $(CURDIR)/bookstore_y/labextension $(extensions)/bookstore-y && touch $@

bookstore_y/labextension/package.json: $(ui-sources) ui/node_modules/.installed
	@cd ui && npm run --silent build && touch ../$@

ui/node_modules/.installed: ui/package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed to build ui/: install Node.js 20.19 or newer." >&2; exit 1; }
	@cd ui && npm ci --silent && touch node_modules/.installed

.venv/bin/python:
	$(PYTHON) -m venv .venv

.PRECIOUS: .venv/installed-%
