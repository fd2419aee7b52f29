# make demo: the whole runbook on a sandbox of its own.   make test: every check.   make help: the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# SANDBOX=path moves the sandbox. SESSIONS=path puts a copy of that sessions folder in place of a generated login.
ifdef SANDBOX
export SANDBOX := $(shell realpath -m -- "$(SANDBOX)")
endif
ifdef SESSIONS
export SESSIONS := $(shell realpath -m -- "$(SESSIONS)")
endif
export PYTHON
# What an operator has exported for production is not meant here: demo, sandbox and tests are on this machine alone.
unexport ANSIBLE_INVENTORY ANSIBLE_VAULT_PASSWORD_FILE ANSIBLE_VAULT_IDENTITY_LIST ANSIBLE_ASK_VAULT_PASS
# Compiled once: psycopg alone takes half a second longer otherwise, in each module that imports it.
unexport PYTHONDONTWRITEBYTECODE
# hypothesis' own profiles: ci tries the same examples each time, default looks for new ones.
EXAMPLES = ci
PYTEST = pytest --hypothesis-profile=$(EXAMPLES)

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z.-]+( [a-z.-]+)*):.* ## (.*)/\1\t\3/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: setup .venv
setup .venv: ## Make .venv with everything that the controller and the tests need
	@scripts/setup

.PHONY: demo
demo: sandbox ## Build the sandbox and carry out the runbook on it
	ansible-playbook deploy.yml
	@printf '%s\n' '' \
	  'To go on from here:' \
	  '  .venv/bin/ansible-playbook deploy.yml                               again: nothing changes' \
	  '  .venv/bin/ansible-playbook rollback.yml                             back to the files, with every key' \
	  '  .venv/bin/ansible-playbook rollback.yml -e rollback_source=backup -e accept_key_loss=true' \
	  '                                                                    back to the backup, older than the last message' \
	  '  make clean                                                          stop it all and remove it' \
	  $(if $(SANDBOX),'They find this sandbox by: export SANDBOX="$(SANDBOX)"')

.PHONY: sandbox
sandbox: setup ## Build the sandbox: the bot as it is before the runbook
	ansible-playbook playbooks/sandbox.yml

.PHONY: clean
clean: setup ## Stop what the sandbox runs and remove it
	ansible-playbook playbooks/sandbox_clean.yml

.PHONY: test test-all test-fast
test: setup ## Lint, unit, integration, the playbooks on a sandbox, over SSH in containers, and killed: two at a time
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target \
	  test-sandbox lint test-unit test-integration test-matrix test-scenarios

test-all: test ## The same, days, fleet, the whole matrix, every scenario in containers, the README on a bare machine
	@$(MAKE) --no-print-directory test-load
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going EXAMPLES=default \
	  test-crashes test-faults test-unit test-kills test-days test-fleet $(LONG_SCENARIOS) test-fresh

test-fast: lint test-unit test-integration ## Without sandbox and containers

SCENARIOS = $(patsubst molecule/%/molecule.yml,scenario-%,$(wildcard molecule/*/molecule.yml))
# These two go on the same containers, the second from where the first ends.
SHORT_SCENARIOS = default rollback
LONG_SCENARIOS = $(filter-out $(SHORT_SCENARIOS:%=scenario-%),$(SCENARIOS))
.PHONY: containers test-scenarios $(SCENARIOS) test-fresh
containers: setup ## Find or install an engine for containers, and build the images once
	@scripts/containers ready

test-scenarios: export ANSIBLE_HOME = $(CURDIR)/.ansible
test-scenarios: setup containers ## deploy.yml and rollback.yml over SSH, on a server that has never seen us
	molecule destroy --scenario-name default
	molecule test $(SHORT_SCENARIOS:%=--scenario-name %)

$(SCENARIOS): scenario-%: setup containers ## One scenario of molecule/
	ANSIBLE_HOME="$(CURDIR)/.ansible" molecule test --scenario-name $*

test-fresh: containers
	scripts/fresh_machine

.PHONY: lint
lint: setup ## ansible-lint, yamllint, ruff
	ruff check .
	ruff format --check .
	yamllint --strict .
	ansible-lint

.PHONY: test-unit test-integration test-kills test-sandbox test-days test-fleet test-matrix test-load
test-unit: setup ## What needs neither database nor bot
	$(PYTEST) tests/unit

test-integration: setup ## The modules on a PostgreSQL of the tests' own
	$(PYTEST) tests/integration

test-kills: setup ## The migration killed three hundred times, at random moments
	KILLS=300 $(PYTEST) tests/integration/test_baileys_kill.py

test-sandbox: setup ## The playbooks on a sandbox of the tests' own
	$(PYTEST) tests/sandbox

test-days: setup ## The monitor's days and the cleanup after seven of them, by the sandbox's clock
	$(PYTEST) tests/days

test-fleet: setup ## Three hosts with one database
	$(PYTEST) tests/fleet

CRASHES = tests/matrix/test_crash_journal.py tests/matrix/test_crash_tasks.py
FAULTS = tests/matrix/test_faults.py tests/matrix/test_faults_deploy.py
.PHONY: test-crashes test-faults
test-matrix: setup ## Today's share of the next one
	$(PYTEST) $(CRASHES) --matrix=today

test-crashes: setup ## Controller and host killed at every step
	$(PYTEST) $(CRASHES) --matrix=all

test-faults: setup ## Met by every fault on the way
	$(PYTEST) $(FAULTS) --matrix=all

# Alone, as the contacts ask for the cores that the playbooks leave.
test-load: setup ## Deployed, rolled back and deployed again while contacts write to the bot
	$(PYTEST) tests/matrix/test_under_load.py --matrix=all

.PHONY: bench bench-full bench-ssh
bench: setup ## Measure against the original's way and the limit; writes BENCHMARKS.md
	python -m bench

bench-full: setup ## The same with a thousand companies, and the largest login in every table
	python -m bench --full

bench-ssh: setup containers ## deploy.yml over SSH, task by task; writes its section of BENCHMARKS.md
	python -m bench.over_ssh

.PHONY: reference
reference: setup ## Write docs/REFERENCE.md anew: playbooks, tags, variables
	python scripts/reference.py

# For one platform and its oldest Python, not universal: pip, fetching for another Python, takes the markers for its own.
LOCK = uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate
.PHONY: lock
lock: ## Pin anew what the *.in and package.json files ask for (needs uv and npm)
	$(LOCK) --universal --python-version 3.12 requirements.in --output-file requirements.txt
	for role in psycopg sandbox_node; do \
	  $(LOCK) --python-platform linux --python-version 3.10 \
	    roles/$$role/files/requirements.in --output-file roles/$$role/files/requirements.txt || exit; \
	done
	npm install --prefix sandbox/tools --package-lock-only --omit-lockfile-registry-resolved
