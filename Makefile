# Every target can be the first one on a fresh machine: what it needs is installed on the way.
# Needed beforehand: Python 3.13, make, git. `make help` lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3.13
# `make deploy` without a STAGE is dev; what operators run without one works on the stack of `make run`.
OPS_STAGE := $(or $(STAGE),local)
STAGE ?= dev
UV := .tools/uv/bin/uv
# A real 3.13 first on PATH: `sam build` looks for python3.13 from a folder without .python-version.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
export PYTHONDONTWRITEBYTECODE := 1
SAM := .tools/sam/bin/sam

##@ Use
.PHONY: help run invoke logs
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: tools ## Build, deploy and serve the whole stack on this machine (PORT, OIDC_ISSUER, SECRETS_FILE, … see README)
	@exec .venv/bin/python -m local

invoke: .venv/.installed ## Invoke a function of the running stack: FUNCTION=issue_guest_token EVENT=events/issue_guest_token.json
	@.venv/bin/python -m local.invoke "$(FUNCTION)" $(if $(EVENT),"$(EVENT)")

logs: .venv/.installed ## Print a function's log lines of the running stack: FUNCTION=issue_guest_token
	@.venv/bin/python -m local.logs "$(FUNCTION)"

##@ Work on it
.PHONY: test check format lock build deploy clean tools
test: tools ## Run all tests, end to end included, with the coverage gate
	@.venv/bin/python -m pytest --cov --cov-report=term-missing:skip-covered $(ARGS)

check: .venv/.installed .tools/sam/.installed .tools/checkov/.installed ## Run the fast checks: format, lint, types, layers, template
	@echo "· ruff"; .venv/bin/ruff format --check . && .venv/bin/ruff check .
	@echo "· mypy"; .venv/bin/mypy
	@echo "· import-linter"; PYTHONPATH=layers/gatehouse:. .venv/bin/lint-imports
	@echo "· cfn-lint"; .venv/bin/cfn-lint
	@echo "· sam validate"; $(SAM) validate --lint --region us-east-1
	@echo "· checkov"; .tools/checkov/bin/checkov --config-file .checkov.yaml
	@echo "All checks passed."

format: .venv/.installed ## Format the code and apply safe fixes
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

LOCK := $(UV) pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade) pyproject.toml
lock: .tools/uv/.installed ## Compile pyproject.toml into the locked requirements (UPGRADE=1 takes newer versions)
	@$(LOCK) --group layer -o layers/gatehouse/requirements.txt
	@$(LOCK) --group powertools -o layers/powertools/requirements.txt
	@for group in runtime dev sam checkov uv verify peers node sbom; do \
	  echo "· $$group"; $(LOCK) --group $$group -c layers/gatehouse/requirements.txt -c layers/powertools/requirements.txt -o requirements/$$group.txt; done

build: tools ## Build the artifacts for AWS into .aws-sam/build, byte-compiled
	@.venv/bin/python -m local.build

deploy: build ## Deploy to AWS with the settings of samconfig.toml: STAGE=dev|prod
	@$(SAM) deploy --config-env "$(STAGE)"

clean: ## Remove everything that was built or installed here
	@rm -rf .venv .tools .aws-sam .local .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

##@
tools: .venv/.installed .tools/sam/.installed .tools/runtime/.installed

# Python itself is the one thing that make cannot install: say clearly what is missing.
define require_python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
	  echo "Gatehouse needs Python 3.13, and '$(PYTHON)' is not one: $$($(PYTHON) --version 2>&1 | head -n 1)"; \
	  echo "Install it (for instance: pyenv install 3.13) or name it: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.13"; exit 1; }
endef

.tools/uv/.installed: requirements/uv.txt
	$(require_python)
	@echo "Installing uv, which installs the rest …"
	@rm -rf .tools/uv && $(PYTHON) -m venv .tools/uv
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Each environment is made anew when its locked requirements change.
define environment
	@echo "Installing $< …"
	@rm -rf $(@D) && $(UV) venv --quiet --python .tools/uv/bin/python $(@D)
	@$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes -r $<
	@touch $@
endef

.venv/.installed: requirements/dev.txt .tools/uv/.installed
	$(environment)
.tools/sam/.installed: requirements/sam.txt .tools/uv/.installed
	$(environment)
.tools/runtime/.installed: requirements/runtime.txt .tools/uv/.installed
	$(environment)
.tools/checkov/.installed: requirements/checkov.txt .tools/uv/.installed
	$(environment)
.tools/verify/.installed: requirements/verify.txt .tools/uv/.installed
	$(environment)
.tools/peers/.installed: requirements/peers.txt .tools/uv/.installed
	$(environment)
.tools/node/.installed: requirements/node.txt .tools/uv/.installed
	$(environment)
.tools/sbom/.installed: requirements/sbom.txt .tools/uv/.installed
	$(environment)

# The browser tests drive the system's Chromium.
.tools/chromium/.installed:
	@mkdir -p $(@D)
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  echo "Installing chromium …"; run=; [ "$$(id -u)" = 0 ] || run="sudo -n"; \
	  { $$run apt-get -qq update && $$run env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium; } \
	    >$(@D)/log 2>&1 || echo "No chromium here, and it could not be installed (see $(@D)/log): the browser tests will be skipped."; }
	@touch $@
