.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Byte code is kept, whatever the environment says: each of the many processes that tests start would compile it anew.
export PYTHONDONTWRITEBYTECODE :=

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

.PHONY: lint
lint: .venv/.ready ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: system
system: ## install the Debian packages that provider local needs (root)
	@scripts/install-system

.PHONY: test
test: test-unit test-processes test-faults test-conformance test-local ## all tiers but OpenStack's

.PHONY: test-unit
test-unit: .venv/.ready ## pure and fast
	$(BIN)/pytest --quiet -n 2 tests/unit

.PHONY: test-processes
test-processes: .venv/.ready ## programs that run on nodes, as processes of this machine: they wait more than they work
	$(BIN)/pytest --quiet -n 4 tests/processes

.PHONY: test-faults
test-faults: .venv/.ready ## SIGKILL at every point of a command
	$(BIN)/pytest --quiet -n 2 tests/faults

.PHONY: test-conformance
test-conformance: .venv/.ready ## TOSCA as others write it
	$(BIN)/pytest --quiet tests/conformance

.PHONY: fuzz
fuzz: .venv/.ready ## 10,000 templates that nobody would write
	IM_FUZZ=10000 $(BIN)/pytest --quiet -n 2 --timeout 3600 tests/conformance/test_fuzz.py

.PHONY: test-local
test-local: .venv/.ready system ## real nodes, Ansible, udocker and MPI on this machine (root)
	$(BIN)/pytest -n 2 --dist loadfile --durations=10 tests/e2e -m "e2e_local and not long"

.PHONY: test-local-long
test-local-long: .venv/.ready system ## what takes too long for every change: the environment image, built and at work
	$(BIN)/pytest --durations=10 tests/e2e -m "e2e_local and long"

.PHONY: test-openstack
test-openstack: .venv/.ready ## a real OpenStack on this machine, and our tests on it (root, Debian 12)
	PYTHON=$(BIN)/python tests/e2e/openstack/tier --durations=10 tests/e2e -m "e2e_openstack and not long"

.PHONY: test-openstack-long
test-openstack-long: .venv/.ready ## what takes too long for every change: faults, SIGKILL, a real virtual machine, everything through OCCI
	PYTHON=$(BIN)/python tests/e2e/openstack/tier --durations=10 tests/e2e -m "e2e_openstack and long"

.PHONY: stack-up
stack-up: .venv/.ready ## bring that OpenStack up and leave it there (make stack-down ends it)
	$(BIN)/python tests/e2e/openstack/stack install
	$(BIN)/python tests/e2e/openstack/stack up

.PHONY: stack-down
stack-down: .venv/.ready
	$(BIN)/python tests/e2e/openstack/stack down

.PHONY: demo
demo: .venv/.ready system ## deploy 1 + 2 nodes here and run an MPI program in containers on them
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo

.PHONY: demo-openstack
demo-openstack: .venv/.ready ## the same on virtual machines of a real OpenStack on this machine (root, Debian 12)
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo-openstack

.PHONY: bench
bench: .venv/.ready system ## the figures of docs/benchmarks.md, each against a baseline of the same run
	$(BIN)/python benchmarks/run.py

.PHONY: bench-openstack
bench-openstack: stack-up .venv-ansible/.ready ## the same for OpenStack, on the test cloud: a floor script, and Ansible's own modules
	OS_CLIENT_CONFIG_FILE=$$($(BIN)/python tests/e2e/openstack/stack clouds) IM_BENCH_ANSIBLE=.venv-ansible \
		$(BIN)/python benchmarks/on_openstack.py stack fake tiny-fake m1.nano 16 64:1

.venv-ansible/.ready:
	python3 -m venv .venv-ansible
	.venv-ansible/bin/pip install --quiet "openstacksdk<4.2" ansible # its collection does not work with newer ones
	touch $@

.PHONY: docs
docs: .venv/.ready ## regenerate what the code writes: CLI reference, pictures
	$(BIN)/python scripts/write_docs.py
