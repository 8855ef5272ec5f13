# Two commands do everything on a fresh machine: `make run` and `make test`.
# Options: PART=02 (only that part), SET=full (larger data), BACKEND=azure, NOTEBOOK=name, JOBS=1 (one at a time),
# BUDGET=5 (US dollars on Azure). docs/unattended.md says more. WHEELHOUSE=folder: docs/instructor-guide.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VIEW := src/designer/view/interactive
# Of pyproject.toml: what is installed beside the service.
EXTRAS ?= lessons,book,workshop,test
SET ?= fast
BACKEND ?= local
# Of the tests: they wait as long as they compute.
WORKERS ?= 4
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder --ignore tests/heavy
# What the service is measured against; its needs conflict with the workbook's, so each of these lives apart.
MOTO := 5.2.5
BENTOML := 1.4.40

# A folder that `python -m workshop wheelhouse` made: then nothing is asked of a network.
ifdef WHEELHOUSE
WHEELS := $(shell $(PYTHON) -c 'import pathlib, sys; print(pathlib.Path(sys.argv[1], "wheels").resolve().as_uri())' '$(WHEELHOUSE)')
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(WHEELS)
export UV_OFFLINE := 1
export UV_NO_INDEX := 1
export UV_FIND_LINKS := $(WHEELS)
export AZUREML_LOCAL_NPM_TARBALLS := $(WHEELHOUSE)/npm
endif
# Images often set it. Each process that a service or a test starts would compile this project anew: a service's start
# would take twice the processor's time, and so would finding the tests.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run sweep preflight test tests test-slow test-all lint style types lab progress book start stop bench demo notebooks workshop workshop-stop clean

help: ## say what each command does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv (the other commands do it when needed)

$(STAMP): pyproject.toml constraints.txt src/azureml_local/engines/azurite/package-lock.json \
          src/workshop/proxy/package-lock.json $(wildcard $(VIEW)/*)
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11 ...")'
	$(if $(WHEELHOUSE),PYTHONPATH=src $(PYTHON) -m workshop.wheelhouse.check '$(WHEELHOUSE)')
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
# torch by pip, which looks where the machine's own settings tell it to; the rest by uv, in a fifth of the time.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv torch
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(BIN)/python -m compileall -q src
# Some wheels keep files from other users, and in a workshop each learner is one.
	chmod -R go+rX $(VENV)
	$(BIN)/azureml-local doctor --install
	$(BIN)/python -m designer.view.bundle
	$(if $(findstring workshop,$(EXTRAS)),$(BIN)/python -m workshop install)
	touch $@

run: $(STAMP) ## run every lesson and write runs/latest/report.html
	$(BIN)/python -m course.run --set $(SET) --backend $(BACKEND) $(if $(PART),--part $(PART)) $(if $(JOBS),--jobs $(JOBS)) $(if $(BUDGET),--budget $(BUDGET)) $(NOTEBOOK)

sweep: $(STAMP) ## list what broken runs have left (YES=1 deletes it, RUN=latest: only that run)
	$(BIN)/python -m course.sweep --backend $(BACKEND) $(if $(RUN),--run $(RUN)) $(if $(YES),--yes)

preflight: BACKEND = azure
preflight: $(STAMP) ## check, before anything is made, whether your workspace on Azure has what the lessons need
	@$(BIN)/python -m course.preflight --backend $(BACKEND) $(if $(PART),--part $(PART)) $(NOTEBOOK)

test: $(STAMP) style ## run every lesson, and every test but the slow and the heavy ones
# Beside each other: types alone leave a processor idle for a minute.
	@$(MAKE) --no-print-directory --jobs 2 types tests

tests: $(STAMP)
	$(PYTEST) -m 'not slow' --nbval --nbval-current-env --nbval-cell-timeout 600 --nbval-sanitize-with tests/sanitize.cfg tests notebooks

test-slow: $(STAMP) ## run the slow ones: what is killed, browsers, whole training runs, rooms
	$(PYTEST) -m slow tests

test-all: test test-slow ## run every test, those too that need Docker, Spark or network namespaces (as root they install it)
	$(BIN)/python -m pytest tests/heavy

lint: style types ## check style and types

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# As the lessons start it: durations, such as how long a node idles, pass sixty times as fast.
lab start: export AZUREML_LOCAL_CLOCK_FACTOR ?= 60

lab: $(STAMP) start ## open the lesson that is next for you in JupyterLab
	next=$$($(BIN)/python -m course.learner --next) && $(BIN)/jupyter lab --notebook-dir notebooks --LabApp.default_url="/lab/tree/$$next"

progress: $(STAMP) ## say what you have done, and what is next
	@$(BIN)/python -m course.learner

book: $(STAMP) ## make the book of the stored lessons: build/book/html/index.html
	$(BIN)/python -m course.book

start: $(STAMP) ## start Azure ML on this machine
	$(BIN)/azureml-local start

stop: ## end it
	@test ! -x $(BIN)/azureml-local || $(BIN)/azureml-local stop

bench: $(STAMP) ## measure speed against peers, into runs/bench.json
	test -x $(VENV)/moto/bin/moto_server || { $(BIN)/uv venv --quiet $(VENV)/moto && $(BIN)/uv pip install --quiet --system-certs --python $(VENV)/moto 'moto[server]==$(MOTO)'; }
# With the workbook's scikit-learn, which has saved the model that it serves.
	test -x $(VENV)/bentoml/bin/bentoml || { $(BIN)/uv venv --quiet $(VENV)/bentoml && $(BIN)/uv pip install --quiet --system-certs --python $(VENV)/bentoml 'bentoml==$(BENTOML)' $$(grep -E '^(scikit-learn|numpy|cloudpickle)==' constraints.txt); }
	PYTHONPATH=tests:tests/heavy $(BIN)/python tests/bench/run.py

demo: $(STAMP) ## load an endpoint for a minute, and kill what a batch job needs: print what was answered, and done
	PYTHONPATH=tests $(BIN)/python tests/faults/demonstration.py
	PYTHONPATH=tests $(BIN)/python tests/faults/batch_demonstration.py

notebooks: $(STAMP) ## make the exercises, execute the lessons and store them with their outputs
	$(BIN)/python -m course.store $(NOTEBOOK)
	$(BIN)/python -m workshop agenda --write

workshop: $(STAMP) ## start a room of learners, as root: LEARNERS=30, LISTEN=192.0.2.10, PORT=8000; docs/workshop.md
	@$(BIN)/python -m workshop start $(if $(LEARNERS),--learners $(LEARNERS)) $(if $(LISTEN),--listen $(LISTEN)) $(if $(PORT),--port $(PORT))

workshop-stop: ## end it; what the learners have made is kept
	@$(BIN)/python -m workshop stop

clean: stop ## remove what the commands made, but not the service's state
	rm -rf $(VENV) build runs .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
