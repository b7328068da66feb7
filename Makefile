PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
READY := $(VENV)/.ready

.PHONY: demo test test-lowest test-python audit lint docs man dist bench study fuzz matrix clean

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

# embed -> fit-head -> query -> update -> simulate on sample_data, into demo/
demo: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" sh sample_data/demo.sh demo

test: lint docs
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# the tests with every dependency at its lower bound, in an environment of its own
LOWEST := .venv-lowest/bin/python
test-lowest:
	test -x $(LOWEST) || $(PYTHON) -m venv .venv-lowest
	$(LOWEST) -m pip install --quiet --requirement requirements.lock
	$(LOWEST) -m tests.lowest > .venv-lowest/lowest.txt
	$(LOWEST) -m pip install --quiet --no-deps --requirement .venv-lowest/lowest.txt
	$(LOWEST) -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(LOWEST) -m pytest --numprocesses 2 --dist loadfile

# what depends on the interpreter, with another one: make test-python PYTHON=python3.13. PyTorch, and the tests that need
# it, are left out.
OTHER := .venv-python/bin/python
INTERPRETER_TESTS ?= tests/cli tests/reliability tests/test_api.py tests/test_startup.py tests/test_extensions.py \
  tests/test_plugins.py
test-python:
	rm -rf .venv-python
	$(PYTHON) -m venv .venv-python
	grep -vE "^(#|torch=|sentence-transformers=)" requirements.lock > .venv-python/lock.txt
	$(OTHER) -m pip install --quiet --no-deps --requirement .venv-python/lock.txt
	$(OTHER) -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(OTHER) -m pytest --numprocesses 2 --dist loadfile -k "not mlp and not torch and not hidden and not aux_loss \
	  and not gives_the_tables and not model_file and not exported and not vaal and not sraal" $(INTERPRETER_TESTS)

# known vulnerabilities of the locked versions, as the advisory database of the package index has them
audit:
	test -x .venv-audit/bin/pip-audit || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit
	.venv-audit/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip --strict

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# the site, in build/site; --quiet would hide warnings from the strict build too
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# the manual page build/alcli.1, and completion scripts for bash, zsh and fish beside it
man: $(READY)
	mkdir -p build
	$(BIN)/python -m alcli.cli.manual > build/alcli.1
	for shell in bash zsh fish; do _ALCLI_COMPLETE=source_$$shell $(BIN)/alcli > build/alcli.$$shell || exit 1; done

# an sdist and a wheel, in dist/
dist: man
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

bench: $(READY)
	$(BIN)/python -m benchmarks --data $(DATA)

# learning curves on banking77, heads that learn from the pool, heads kept up by updates, wrong labels, junk, audits
study: $(READY)
	$(BIN)/python -m benchmarks.study_banking77 --data $(DATA)
	$(BIN)/python -m benchmarks.study_pool_head --data $(DATA) --only acceptance
	$(BIN)/python -m benchmarks.study_pool_head --data $(DATA) --only cells
	$(BIN)/python -m benchmarks.study_maintenance --data $(DATA)
	$(BIN)/python -m benchmarks.study_suspect --data $(DATA)
	$(BIN)/python -m benchmarks.study_none_label --data $(DATA)
	$(BIN)/python -m benchmarks.study_audit --data $(DATA)

# damaged files with a free seed for ten minutes (MINUTES=60 goes on for longer), then over 1,000 kills and every error,
# at every single step of every command; needs a C compiler, cc
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10)
	ALCLI_THOROUGH=1 $(BIN)/python -m pytest tests/reliability

# every strategy, head and update under other kernels, threads, layouts and workers: what leaves other bytes; half an hour
matrix: $(READY)
	$(BIN)/python -m tests.matrix

clean:
	rm -rf $(VENV) demo build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
