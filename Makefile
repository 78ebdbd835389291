# `make watch` labels a source, `make test` runs the tests, `make docs` builds the reference; all set up .venv first.

PYTHON ?= python3
SOURCE ?= sample
BIN := .venv/bin

.PHONY: watch test docs release-check

watch: .venv/ready
	$(BIN)/actionstream watch --realtime "$(SOURCE)"

test: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf .venv/links && mkdir -p .venv/links/actionstream  # the one name, as type checkers look for it
	ln -s $(CURDIR)/stream/* $(addprefix $(CURDIR)/,models kernels demos) .venv/links/actionstream/
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow and not waits and not alone"
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m "slow and not waits and not alone"
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m waits
	$(BIN)/pytest -m alone

release-check: .venv/ready-dev  # what would be published: built, checked, installed alone, and run
	rm -rf dist build/release
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/release
	build/release/bin/pip install --disable-pip-version-check --quiet dist/*.whl
	cd build/release && bin/actionstream watch sample && bin/actionstream --version

docs: .venv/ready-dev
	$(BIN)/python -W error .ci/reference.py docs

.venv/ready: pyproject.toml
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --progress-bar on --editable ".[all]"
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --disable-pip-version-check --editable ".[all,dev]"
	touch $@
