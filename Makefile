# Everything a developer does. Each target first installs what is missing; afterwards
# that takes 0.03 s. PYTHON=... chooses the interpreter.

PORT ?= 3000
FUNCTION ?= generate
EVENT ?= url
STAGE ?= dev
ON_AWS := $(filter command environment,$(origin STAGE))
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)

export PYTHON
export SAM_CLI_TELEMETRY = 0
# `sam` would send the credentials to AWS STS; only these targets need them.
ifeq ($(filter preflight deploy smoke key key-transfer,$(MAKECMDGOALS)),)
unexport AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE
endif

IN_VENV := sh local/venv.sh
# Four processes at most: each has servers of its own. A file's tests stay in order.
IN_PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help run sam-local invoke cleanup migrate key key-transfer redirects psql logs test browser screenshot acceptance containers
.PHONY: rehearse rehearse-faults bench load readers fuzz prove prove-faults faults edits audit install docs format lint requirements packages clean
.PHONY: build sbom preflight deploy smoke

help: ## Show this list
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

##@ Run it

run: ## Serve the whole service at http://127.0.0.1:3000 (PORT=) until Ctrl-C
	@exec $(IN_VENV) setpriv --pdeathsig TERM python -m local run --port $(PORT)

sam-local: ## The same, with the functions in containers (needs Docker)
	@exec $(IN_VENV) setpriv --pdeathsig TERM python -m local sam-local --port $(PORT)

invoke: ## Run one function with one event: FUNCTION=generate EVENT=url
	@$(IN_VENV) python -m local invoke $(FUNCTION) $(EVENT)

cleanup: ## Erase expired codes now
	@$(IN_VENV) python -m local cleanup

migrate: ## Apply the database migrations that are missing
	@$(IN_VENV) python -m local migrate

key: ## Create an API key: NAME=shop, on AWS with STAGE=
	@$(IN_VENV) python -m $(if $(ON_AWS),checks.keys --stage $(STAGE) create,local key) $(NAME)

key-transfer: ## Give the codes of one key to another: FROM= TO=, on AWS with STAGE=
	@$(IN_VENV) python -m $(if $(ON_AWS),checks.keys --stage $(STAGE) transfer,local transfer) $(FROM) $(TO)

redirects: ## Write where printed codes lead: CSV, nginx (OWNER=, TO=, DATABASE=)
	@$(IN_VENV) python -m local.redirects $(if $(OWNER),--owner $(OWNER)) \
	  $(if $(TO),--to $(TO)) $(if $(DATABASE),--database "$(DATABASE)")

psql: ## Open the database (ARGS='-c "SELECT ..."')
	@$(IN_VENV) python -m local psql -- $(ARGS)

logs: ## Follow the logs of servers and functions until Ctrl-C
	@[ -d .local/logs ] || { echo "There are no logs: nothing has run yet." >&2; exit 1; }
	@exec tail -n 20 -F .local/logs/*.log

##@ Test it

test: ## Run unit, integration and end-to-end tests (ARGS='-k name')
	@$(IN_VENV) python -m pytest $(if $(ARGS),,--cov) $(IN_PARALLEL) $(ARGS)

browser: ## Use the studio in a browser (Debian: chromium)
	@$(IN_VENV) python -m pytest tests/browser --numprocesses 2 $(ARGS)

screenshot: ## Take the picture of the studio that README.md shows
	@$(IN_VENV) python -m studio.screenshot

acceptance: ## Show the service's promises one by one on the real stack
	@$(IN_VENV) python -m pytest tests/acceptance $(IN_PARALLEL)

containers: ## Run every example event and a code's life in containers (needs Docker)
	@$(IN_VENV) python -m pytest tests/containers

rehearse: ## Deploy into an emulator of AWS, use it, update it, delete it
	@ENVIRONMENTS=lambda exec $(IN_VENV) setpriv --pdeathsig TERM python -m rehearsal

rehearse-faults: ## Show that the rehearsal fails for what would fail on AWS
	@ENVIRONMENTS=lambda $(IN_VENV) python -m pytest tests/rehearsal \
	  --numprocesses 3 --dist worksteal

bench: ## Compare speed, sizes (QUICK=1; ONLY=sweep; SAVE=1: to docs/; AGAINST=COMMIT)
	@ENVIRONMENTS=bench $(IN_VENV) sh benchmarks/run.sh benchmarks \
	  $(if $(ONLY),--only $(ONLY)) \
	  $(if $(QUICK),--quick) $(if $(SAVE),--output docs) \
	  $(if $(AGAINST),--against $(AGAINST))

load: ## Send 20,000 requests to handlers and `make run`; cold starts (QUICK=1)
	@ENVIRONMENTS="bench lambda" $(IN_VENV) sh benchmarks/run.sh benchmarks.load \
	  $(if $(QUICK),--quick)

readers: ## Read our images with seven readers, some need node (SEED=, COUNT=; SAVE=1)
	@PYTHONPATH=layers/common $(IN_VENV) python -m benchmarks.readers \
	  $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) \
	  $(if $(SAVE),--save)

# The models check no signature, and the counts are the proof's own.
PROOF := PYTHONPATH=layers/common POWERTOOLS_METRICS_DISABLED=true \
  AWS_ACCESS_KEY_ID=model AWS_SECRET_ACCESS_KEY=model $(IN_VENV) python -m

fuzz: ## Send 10,000 requests made from the OpenAPI document (CASES=; SEED=: no chains)
	@ENVIRONMENTS=fuzz PYTHONPATH=.:layers/common $(IN_VENV) python -m proof.fuzz \
	  $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED))

prove: ## Let every effect fail: 100,000 histories, then real servers (SEED=1)
	@$(PROOF) proof $(if $(SEED),--seed $(SEED))

prove-faults: ## Show that `make prove` finds bugs that are planted in a copy
	@$(PROOF) proof.bugs

faults: ## Let each part of `make run` fail under real clients (SAVE=1: docs/)
	@$(PROOF) proof.faults $(if $(SAVE),--save)

edits: ## Change printed codes while they are scanned, with moved clocks, without cache
	@$(PROOF) proof.edits

audit: ## Hold each code of `make run` against its row, image and cache entry
	@$(PROOF) proof.stores

##@ Change it

install: ## Create the virtual environment (all targets do so if needed)
	@$(IN_VENV) python --version

format: ## Format the code and apply automatic fixes
	@$(IN_VENV) ruff check --fix
	@$(IN_VENV) ruff format

docs: ## Write what is generated: fields, OpenAPI, the page /docs
	@PYTHONPATH=layers/common $(IN_VENV) python -m docs

lint: export ENVIRONMENTS = checkov pipeline
lint: ## Check style, types, templates and workflows
	@$(IN_VENV) ruff check
	@$(IN_VENV) ruff format --check
	@$(IN_VENV) mypy
	@$(IN_VENV) sam validate --lint
	@$(IN_VENV) python -m checks.template
	@$(IN_VENV) cfn-lint .github/oidc-role.yaml
	@$(IN_VENV) check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(IN_VENV) check-jsonschema -q --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(IN_VENV) zizmor --offline --quiet .github

requirements: ## Pin again what requirements/*.in require (UPGRADE=1: newest versions)
	@WITH_UV=1 $(IN_VENV) sh requirements/compile.sh $(if $(UPGRADE),--upgrade)

packages: ## Install the Debian packages that tests and rehearsal use
	$(SUDO) apt-get update -qq
	@# In runlevel 1 no service starts: the rehearsal starts servers of its own.
	$(SUDO) env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq \
	  --no-install-recommends ghostscript libzbar0 nginx openssl poppler-utils postgresql redis-server

clean: ## Remove environments, builds and caches (DATA=1: local data too)
	@[ ! -e .local/lock ] || flock --nonblock .local/lock true || { echo "make run is running; stop it first." >&2; exit 1; }
	@[ ! -e .venv/lock ] || flock --nonblock .venv/lock true || { echo "An installation is running." >&2; exit 1; }
	rm -rf .venv .aws-sam .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	@$(if $(filter 1,$(DATA)),rm -rf .local,echo "Local data stays in .local; make clean DATA=1 removes it too.")

##@ Deploy it

build: ## Build for AWS without Docker, for both processors, and check the result
	@$(IN_VENV) sam build
	@$(IN_VENV) python -m checks.build

sbom: export ENVIRONMENTS = pipeline
sbom: ## Write the bill of materials of the build, .aws-sam/sbom.cdx.json
	@$(IN_VENV) python -m checks.sbom

preflight deploy: export PARAMETERS := $(PARAMETERS)
preflight: ## Find what would stop a deployment, before it begins: STAGE=dev
	@$(IN_VENV) python -m checks.preflight $(STAGE)

deploy: $(if $(filter 0,$(PREFLIGHT)),,preflight)
deploy: ## Deploy the build to AWS: STAGE=dev (staging, prod; PARAMETERS="A=1 B=2")
	@exec $(IN_VENV) python -m checks.deploy $(STAGE)

smoke: ## Show that a deployment works: STAGE=dev, or URL= with API_KEY in the environment
	@$(IN_VENV) python -m checks.smoke $(if $(URL),$(URL),--stage $(STAGE))
