# Wenshu 问数. Two commands are enough: `make demo` to see it, `make test` to trust it.
# Needs Python 3.11 or later with venv; choose one with `make demo PYTHON=python3.12`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FRESH := .venv-constraints
CHROMIUM := /usr/bin/chromium
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench screenshots constraints chromium clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: $(VENV)/.installed ## answer one question here, then serve the chat page and print its address
	@$(BIN)/wenshu demo

test: $(VENV)/.installed-dev chromium ## run every test, the browser's too (TESTS=tests/ui for a part)
	@$(BIN)/python -m pytest -n $$(($$(nproc) + 1)) $(TESTS)

check: $(VENV)/.installed-dev ## lint and type-check
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(VENV)/.installed-dev ## measure speed and accuracy
	@set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

screenshots: $(VENV)/.installed-dev chromium ## take the documentation's pictures from the running product
	@$(BIN)/python docs/screenshots.py

constraints: ## renew constraints.txt with the newest versions that pyproject.toml allows
	rm -rf $(FRESH)
	$(PYTHON) -m venv $(FRESH)
	$(FRESH)/bin/python -m pip install --quiet --upgrade pip setuptools
	PYTHONWARNINGS=ignore $(FRESH)/bin/python -m pip install --quiet --no-build-isolation --editable '.[cdnow,journey,llm,insight,slack]' --group dev
	sed -n '/^#/p' constraints.txt > $(FRESH)/constraints.txt
	$(FRESH)/bin/python -m pip freeze --all --exclude wenshu >> $(FRESH)/constraints.txt
	mv $(FRESH)/constraints.txt constraints.txt
	rm -rf $(FRESH)

clean: ## remove what the other commands made here, but no data
	rm -rf $(VENV) $(FRESH) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp inside .venv is older than pyproject.toml or constraints.txt exactly when the installation is.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wenshu needs Python 3.11 or later; choose one with PYTHON=…")'
	@echo "Installing into $(VENV); this takes a minute …"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) pip setuptools
	@$(INSTALL) --no-build-isolation --editable '.[insight]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(INSTALL) --no-build-isolation --editable '.[cdnow,journey,llm,insight,slack]' --group dev
	@touch $@

chromium:
	@[ -x $(CHROMIUM) ] || { echo "Installing Chromium for the browser tests …"; \
	    $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium >/dev/null; } \
	|| echo "Chromium could not be installed: the browser tests will fail." >&2
