# Everything works from a fresh clone; the environment is made in .venv the first time it is needed.
PYTHON ?= python3.11
SAMPLE := data/raw/sample
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: sample test quick check

sample: $(INSTALLED)
	$(BIN)/faceshards sample-data $(SAMPLE)
	git rev-parse --git-dir >/dev/null 2>&1 || $(BIN)/dvc config --local core.no_scm true
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro
	$(BIN)/faceshards summary

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2

quick: check
	$(BIN)/python -m pytest -n 2 -m "not slow"

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $@
