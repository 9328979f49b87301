# Every target can be the first one on a fresh machine: what it needs is installed on the way.
# Needed beforehand: Python 3.13, make, git. `make help` lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3.13
# `make deploy` without a STAGE is dev; what operators run without one works on the stack of `make run`.
export OPS_STAGE := $(or $(STAGE),local)
STAGE ?= dev
UV := .tools/uv/bin/uv
# A real 3.13 first on PATH: `sam build` looks for python3.13 from a folder without .python-version.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
export PYTHONDONTWRITEBYTECODE := 1
SAM := .tools/sam/bin/sam
TSC := .tools/node/bin/node .tools/typescript/node_modules/typescript/bin/tsc

##@ Use
.PHONY: help run invoke logs example
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: tools ## Build, deploy and serve the whole stack on this machine (PORT, OIDC_ISSUER, SECRETS_FILE, … see README)
	@exec .venv/bin/python -m local

invoke: .venv/.installed ## Invoke a function of the running stack: FUNCTION=issue_guest_token EVENT=events/issue_guest_token.json
	@.venv/bin/python -m local.invoke "$(FUNCTION)" $(if $(EVENT),"$(EVENT)")

logs: .venv/.installed ## Print a function's log lines of the running stack: FUNCTION=issue_guest_token
	@.venv/bin/python -m local.logs "$(FUNCTION)"

example: tools ## Deploy an example beside the running stack: NAME=events or NAME=consumer (PARAMETERS=…)
	@.venv/bin/python -m local.example "$(NAME)"

##@ Operate
.PHONY: deploy configure doctor status replay redrive show-webhook import-connections
configure doctor status replay redrive show-webhook import-connections: export PYTHONPATH := layers/gatehouse
deploy: export OPS_STAGE = $(STAGE)
deploy: tools ## Deploy to AWS with the settings of samconfig.toml: STAGE=dev|prod
	@PYTHONPATH=layers/gatehouse .venv/bin/python -m ops.deploy_plan
	@.venv/bin/python -m local.build
	@$(SAM) deploy --config-env "$(STAGE)" $(if $(CI),--no-confirm-changeset)
	@echo; echo "Next: make configure STAGE=$(STAGE) (asks for the secrets), then make doctor STAGE=$(STAGE)"

configure: .venv/.installed ## Fill in the secrets, without echo, and run the first tick: [FILE=secrets.json|-] [STAGE=…]
	@exec .venv/bin/python -m ops.configure

doctor: .venv/.installed ## Look at a deployment from all sides, and say what to do: [JSON=1] [STAGE=…]
	@exec .venv/bin/python -m ops.doctor

status: .venv/.installed ## Tokens, last runs, queues, deliveries and alarms on one screen: [STAGE=…]
	@exec .venv/bin/python -m ops.status

replay: .venv/.installed ## Publish deliveries again from the event log: SOURCE=… SINCE=… [UNTIL=…] [ID=…] [DRY_RUN=1] [STAGE=…]
	@exec .venv/bin/python -m ops.replay

redrive: .venv/.installed ## Move deliveries from the dead-letter queue back to where they failed: [MAX=…] [STAGE=…]
	@exec .venv/bin/python -m ops.redrive

import-connections: .venv/.installed ## Bring along connections made elsewhere, dry run first: FILE=users.csv [APPLY=1] [SHOW=1] [STAGE=…]
	@exec .venv/bin/python -m ops.import_connections

show-webhook: .venv/.installed ## Print what to register with the brokerage: SOURCE=… [INDEX=…] [SHOW_SECRETS=1] [STAGE=…]
	@exec .venv/bin/python -m ops.show_webhook

##@ Work on it
.PHONY: test check verify mutation prove schemathesis privileges screenshot format lock build sbom clean tools
# More processes than cores: much of the time, the end-to-end tests wait.
test: tools .tools/node/.installed .tools/chromium/.installed ## Run all tests, end to end included, with the coverage gate
	@.venv/bin/python -m pytest --numprocesses=4 --dist=loadfile --cov --cov-report=term-missing:skip-covered $(ARGS)

check: .venv/.installed .tools/sam/.installed .tools/checkov/.installed .tools/typescript/.installed ## Run the fast checks: format, lint, types, layers, template
	@echo "· ruff"; .venv/bin/ruff format --check . && .venv/bin/ruff check .
	@echo "· mypy"; .venv/bin/mypy
	@echo "· tsc"; $(TSC) --project local/playground
	@echo "· import-linter"; PYTHONPATH=layers/gatehouse:. .venv/bin/lint-imports
	@echo "· cfn-lint"; .venv/bin/cfn-lint
	@echo "· sam validate"; $(SAM) validate --lint --region us-east-1
	@for example in examples/*/template.yaml; do $(SAM) validate --region us-east-1 --template-file $$example; done
	@echo "· checkov"; .tools/checkov/bin/checkov --config-file .checkov.yaml
	@echo "All checks passed."

# What takes too long for every change; each is a target of its own.
verify: prove mutation schemathesis ## Run the long checks
	@echo "All verified."

mutation: .tools/verify/.installed ## Change what authenticates and decides, bit by bit: a test must fail for each (MODULES="webhooks …")
	@.tools/verify/bin/python -m tests.mutation $(MODULES)

prove: export PYTHONPATH := layers/gatehouse
prove: .venv/.installed ## Try whatever can happen to the tokens, in schedules that nobody thought of: STEPS, SEED
	@exec .venv/bin/python -m tests.lifecycle

schemathesis: tools .tools/verify/.installed ## Hold a running stack against docs/openapi.yaml with requests that nobody thought of (SEED=…)
	@exec .tools/verify/bin/python -m tests.fuzz

privileges: tools ## Print which permissions the functions used, with the number of calls (WRITE=1 writes docs/privileges.md)
	@$(if $(WRITE),.venv/bin/python -m tests.support.privileges,mkdir -p .local && \
	  PRIVILEGES=.local/privileges.txt .venv/bin/python -m pytest tests/e2e/test_privileges.py && cat .local/privileges.txt)

screenshot: tools .tools/chromium/.installed ## Make the README's picture of the playground anew
	@SCREENSHOT=1 .venv/bin/python -m pytest tests/browser -k screenshot

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

# Without its remark that pyproject.toml has no dependencies: they are in groups.
SBOM := PYTHONWARNINGS=ignore::UserWarning .tools/sbom/bin/cyclonedx-py environment --mc-type application --pyproject pyproject.toml --output-reproducible
sbom: .tools/sbom/.installed .tools/deployed/.installed .venv/.installed ## List what is deployed and developed with (CycloneDX, .local/sbom), and its licences
	@mkdir -p .local/sbom
	@$(SBOM) --output-file .local/sbom/deployed.cdx.json .tools/deployed/bin/python
	@$(SBOM) --output-file .local/sbom/development.cdx.json .venv/bin/python
	@echo "Written to .local/sbom"; .venv/bin/python -m ops.licences --write

clean: ## Remove everything that was built or installed here
	@rm -rf .venv .tools .aws-sam .local .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

##@ Measure
.PHONY: load bench bench-quick scaling simulate
scaling: .venv/.installed ## Print what it costs and what is hit first, on paper (WRITE=1 puts it into docs/scaling.md)
	@.venv/bin/python -m ops.scaling $(if $(WRITE),--write)

# Only drawing needs more than .venv has.
SIMULATING := $(if $(PLOT)$(WRITE),.tools/verify,.venv)
simulate: export PYTHONPATH := layers/gatehouse
simulate: $(SIMULATING)/.installed ## Run 90 days of ticks against outages: OUTAGES=10,20 RATES=… MARGINS=… PLOT=file.svg (WRITE=1: into docs)
	@exec $(SIMULATING)/bin/python -m ops.availability

load: tools .tools/verify/.installed ## Drive a local stack with a seeded mix, kill processes, account for it: COUNT, SEED, KILLS, USERS, PLOT=1
	@exec .tools/verify/bin/python -m tests.load

bench: tools .tools/peers/.installed .tools/verify/.installed ## Cold and warm, side by side with what people write (ROUNDS, WARM, PLOT=file.svg; WRITE=1: into README and docs)
	@.tools/verify/bin/python -m bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(WARM),--warm $(WARM)) --plot $(or $(PLOT),.local/bench/results.svg) $(if $(WRITE),--write)

bench-quick: tools .tools/peers/.installed ## The same in a few rounds, without the plot
	@.venv/bin/python -m bench --rounds 5

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

# What functions import is compiled, as in Lambda.
byte_compile = env -u PYTHONDONTWRITEBYTECODE $(@D)/bin/python -m compileall -qq $(@D)/lib

.venv/.installed: requirements/dev.txt .tools/uv/.installed
	$(environment)
.tools/sam/.installed: requirements/sam.txt .tools/uv/.installed
	$(environment)
.tools/runtime/.installed: requirements/runtime.txt .tools/uv/.installed
	$(environment)
	@$(byte_compile)
.tools/checkov/.installed: requirements/checkov.txt .tools/uv/.installed
	$(environment)
.tools/verify/.installed: requirements/verify.txt .tools/uv/.installed
	$(environment)
.tools/peers/.installed: requirements/peers.txt .tools/uv/.installed
	$(environment)
	@$(byte_compile)
.tools/node/.installed: requirements/node.txt .tools/uv/.installed
	$(environment)
# The types of the browser client and of the playground are checked with the one package of this lock file.
.tools/typescript/.installed: local/playground/package.json local/playground/package-lock.json local/playground/.npmrc .tools/node/.installed
	@echo "Installing $(word 2,$^) …"
	@rm -rf $(@D) && mkdir -p $(@D) && cp $(wordlist 1,3,$^) $(@D)
	@cd $(@D) && PATH="$(CURDIR)/.tools/node/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

.tools/sbom/.installed: requirements/sbom.txt .tools/uv/.installed
	$(environment)
# What the layers hold, and nothing else: to be listed.
.tools/deployed/.installed: layers/gatehouse/requirements.txt layers/powertools/requirements.txt .tools/uv/.installed
	@echo "Installing what is deployed …"
	@rm -rf $(@D) && $(UV) venv --quiet --python .tools/uv/bin/python $(@D)
	@$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes $(foreach file,$(filter %.txt,$^),-r $(file))
	@touch $@

# The browser tests drive the system's Chromium.
.tools/chromium/.installed:
	@mkdir -p $(@D)
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  echo "Installing chromium …"; run=; [ "$$(id -u)" = 0 ] || run="sudo -n"; \
	  { $$run apt-get -qq update && $$run env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium; } \
	    >$(@D)/log 2>&1 || echo "No chromium here, and it could not be installed (see $(@D)/log): the browser tests will be skipped."; }
	@touch $@
