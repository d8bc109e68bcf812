# Everything a developer does. Each target installs first what is missing, which costs
# nothing from the second time on. PYTHON=... chooses the interpreter.

PORT ?= 3000
FUNCTION ?= generate
EVENT ?= url

export PYTHON
export SAM_CLI_TELEMETRY = 0
# `sam` would ask AWS who they belong to; nothing here needs them, `sam deploy` is not here.
unexport AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE

IN_VENV := sh local/venv.sh

.DEFAULT_GOAL := help
.PHONY: help install run test invoke cleanup migrate lint bench build acceptance clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

install: ## Make the virtual environment (all targets do so when needed)
	@$(IN_VENV) python --version

run: ## Serve the whole service at http://127.0.0.1:3000 (PORT=) until Ctrl-C
	@exec $(IN_VENV) setpriv --pdeathsig TERM python -m local run --port $(PORT)

test: ## Run every test that needs neither Docker nor AWS, with coverage
	@$(IN_VENV) python -m pytest --cov

invoke: ## Run one function with one event: FUNCTION=generate EVENT=url
	@$(IN_VENV) python -m local invoke $(FUNCTION) $(EVENT)

cleanup: ## Erase expired codes now
	@$(IN_VENV) python -m local cleanup

migrate: ## Apply the database migrations that are missing
	@$(IN_VENV) python -m local migrate

lint: ## Check style, types and template
	@$(IN_VENV) ruff check
	@$(IN_VENV) ruff format --check
	@$(IN_VENV) mypy
	@$(IN_VENV) sam validate --lint

bench: ## Measure speed, sizes and imports beside others' (QUICK=1; SAVE=1: into docs/)
	@$(IN_VENV) sh benchmarks/run.sh $(if $(QUICK),--quick) $(if $(SAVE),--output docs)

build: ## Build for AWS without Docker, and import what was built on its own
	@$(IN_VENV) sam build
	@$(IN_VENV) python -m local.built

acceptance: ## Show the service's promises one by one on the real stack
	@$(IN_VENV) python -m pytest tests/acceptance

clean: ## Remove environments, builds and caches (DATA=1: local data too)
	@[ ! -e .local/lock ] || flock --nonblock .local/lock true || { echo "make run is at work; stop it first." >&2; exit 1; }
	rm -rf .venv .aws-sam .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	@$(if $(filter 1,$(DATA)),rm -rf .local,echo "Local data stays in .local; make clean DATA=1 removes it too.")
