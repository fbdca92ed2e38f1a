# Every target makes the virtual environment and installs what it needs by itself; a second call reuses it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
INSTALLED := $(VENV)/.installed

.PHONY: demo test check clean

demo: $(INSTALLED)  ## the whole mission in miniature: pre-train, convert, fine-tune, table (about 8 minutes on 2 cores)
	$(BIN)/python -m benchmarks.demo

test: $(INSTALLED)  ## all tests; those that need Detectron2, a GPU or sample data skip with their reason
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

check: $(INSTALLED)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## removes what make made; never touches runs/
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache

# torch and torchvision are resolved together: a mismatched pair breaks torchvision's compiled operators.
$(INSTALLED): setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@
