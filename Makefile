# Every target makes the virtual environment and installs what it needs by itself; a second call reuses it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
INSTALLED := $(VENV)/.installed
# Live parity: `DETECTRON2=DIR MOCO_REPO=DIR make test` holds ours against checkouts of the real libraries.
D2 := $(abspath $(DETECTRON2))
MOCO := $(abspath $(MOCO_REPO))
LIVE := $(if $(D2),PYTHONPATH="$(D2):$(D2)/projects/DensePose$${PYTHONPATH:+:$$PYTHONPATH}") \
	$(if $(MOCO),MOCO_REPO="$(MOCO)")
CHECKOUTS := $(if $(D2),$(D2)/detectron2/__init__.py) $(if $(MOCO),$(MOCO)/moco/builder.py)

.PHONY: demo test check clean

demo: $(INSTALLED)  ## the whole mission in miniature: pre-train, convert, fine-tune, test (about 3 minutes on 2 cores)
	$(BIN)/python -m benchmarks.demo

study-%: $(INSTALLED)  ## a study on real images: make study-NAME DATA=DIR; docs/studies.md
	$(BIN)/python -m benchmarks.studies $* $(if $(DATA),--data "$(DATA)")

test: $(CHECKOUTS) $(INSTALLED) $(if $(D2),$(VENV)/.detectron2)  ## all tests; what cannot run is skipped with its reason
	OMP_NUM_THREADS=1 $(LIVE) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

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

# What a checkout of Detectron2 and its DensePose import; pkg_resources went with setuptools 82.
$(VENV)/.detectron2: $(INSTALLED)
	$(BIN)/python -m pip install --quiet "setuptools<82" \
		fvcore iopath omegaconf hydra-core cloudpickle termcolor tabulate av
	touch $@

$(D2)/detectron2/__init__.py:
	@echo "DETECTRON2=$(DETECTRON2): no detectron2/__init__.py in it; expected a checkout of Detectron2" >&2; exit 2

$(MOCO)/moco/builder.py:
	@echo "MOCO_REPO=$(MOCO_REPO): no moco/builder.py in it; expected a checkout of facebookresearch/moco" \
		"at 132aea9, before its files were removed" >&2; exit 2
