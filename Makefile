# Every target works on a fresh machine with Python >= 3.10, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
EMPTY := .venv-empty
DOCS_INSTALLED := $(VENV)/.installed-docs
LOWEST := .venv-lowest
LOWEST_INSTALLED := $(LOWEST)/.installed
# The tested versions. CONSTRAINTS=/dev/null takes the newest of everything.
CONSTRAINTS := constraints.txt

.PHONY: demo test test-lowest soak mutation check wheel release docs links format clean

demo: $(INSTALLED)
	$(BIN)/python examples/quickstart.py

# Two processes, each with the files it has begun: fixtures of a file are made once.
PYTEST := -m pytest -n 2 --dist loadfile

test: $(INSTALLED)
	$(BIN)/python $(PYTEST)

# Examples, benchmarks and the blocks of the pages are left out: they are made for the tested set.
test-lowest: $(LOWEST_INSTALLED)
	$(LOWEST)/bin/python $(PYTEST) --ignore tests/examples --ignore tests/benchmarks \
		--ignore tests/docs

soak: $(INSTALLED)
	$(BIN)/python -m pytest -m soak -s

# A sample of small faults, each of which a test should notice; half an hour on two free cores.
mutation: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.mutation

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python $(PYTEST)

# Builds the wheel and uses it where nothing else of this project is.
wheel: $(INSTALLED)
	rm -rf build dist $(EMPTY)
	$(BIN)/python -m build --wheel --outdir dist
	$(PYTHON) -m venv $(EMPTY)
	$(EMPTY)/bin/python -m pip install --quiet --constraint $(CONSTRAINTS) dist/*.whl
	$(EMPTY)/bin/python -I tests/packaging/check_wheel.py
	rm -rf $(EMPTY)

# For PyPI, in dist: make release URL=https://github.com/OWNER/NAME, from the last commit.
release: $(INSTALLED)
	$(BIN)/python -m pip install --quiet twine
	$(BIN)/python tools/release.py $(URL)

# The site, in docs/_build/html; no network needed. A warning, such as a link that leads nowhere
# inside of it, is an error.
docs: $(DOCS_INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -q -E docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# The links that lead out of it, which needs the network.
links: $(DOCS_INSTALLED)
	$(BIN)/python -m sphinx -b linkcheck -q docs docs/_build/links

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(LOWEST) $(EMPTY) build dist docs/_build *.egg-info

# The constraints pin the tested set: an open range would bring the newest torch with its CUDA
# packages onto machines that have no GPU.
$(INSTALLED): setup.cfg pyproject.toml $(CONSTRAINTS)
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[dev]"
	touch $(INSTALLED)

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[docs]"
	touch $(DOCS_INSTALLED)

$(LOWEST_INSTALLED): setup.cfg pyproject.toml constraints-lowest.txt
	test -d $(LOWEST) || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable ".[dev]"
	touch $(LOWEST_INSTALLED)
