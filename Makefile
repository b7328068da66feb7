PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
READY := $(VENV)/.ready

.PHONY: demo test lint bench study fuzz clean

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

# embed -> fit-head -> query -> update -> simulate on sample_data, into demo/
demo: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" sh sample_data/demo.sh demo

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks --data $(DATA)

# learning curves on banking77: about five minutes
study: $(READY)
	$(BIN)/python -m benchmarks.study_banking77 --data $(DATA)

# damaged files with a free seed for ten minutes, then a fault at every single step; MINUTES=60 goes on for longer
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10)
	ALCLI_THOROUGH=1 $(BIN)/python -m pytest tests/reliability

clean:
	rm -rf $(VENV) demo build *.egg-info .mypy_cache .ruff_cache .hypothesis
