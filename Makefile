# make demo: the whole runbook on a sandbox of its own.   make test: all checks.   make help: the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SANDBOX SESSIONS PYTHON

.PHONY: help setup .venv
help: ## List the targets
	@sed -nE 's/^([a-z.-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup .venv: ## Make .venv with everything that the controller and the tests need
	@scripts/setup
