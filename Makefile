# Two commands do everything: `make run` and `make test`. Neither needs anything installed by hand
# beyond Python 3.11+ (with venv) and make; `make test` installs the system packages that it needs.
PYTHON ?= python3
VENV := .venv
SIP2_VENV := .venv-sip2
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest

.PHONY: run run-once test test-quick test-planted check bench bench-large lock clean

run: $(VENV)/.run
	$(BIN)/python -m deploy.demo

run-once: $(VENV)/.run
	$(BIN)/python -m deploy.demo --once

test: $(VENV)/.test-full
	$(PYTEST) -n 2 --dist loadgroup tests

test-quick: $(VENV)/.test-quick
	$(PYTEST) -n 2 --dist loadgroup -m "not system" tests

test-planted: $(VENV)/.test-full
	$(BIN)/python -m tests.planted

check: $(VENV)/.test-quick
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.test-quick
	$(BIN)/python -m benchmarks

bench-large: $(VENV)/.test-full
	$(BIN)/python -m benchmarks.large

# Each stamp is an environment that is at least as full as its name: run ⊂ test-quick ⊂ test-full.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tapgate needs Python 3.11 or newer with the venv module (Debian: apt install python3-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python requirements.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test-quick: $(VENV)/.run requirements-test.lock
	$(PIP) install --require-hashes -r requirements-test.lock
	@touch $@

$(VENV)/.test-full: $(VENV)/.test-quick $(SIP2_VENV)/.made requirements-pcsc.lock tests/system-packages.sh
	sh tests/system-packages.sh
	$(PIP) install --require-hashes --no-build-isolation -r requirements-pcsc.lock
	@touch $@

# A SIP2 server that others wrote, which tests run as a process: what it needs must not meddle with ours.
$(SIP2_VENV)/.made: $(VENV)/bin/python requirements-sip2.lock
	$(PYTHON) -m venv $(SIP2_VENV)
	$(SIP2_VENV)/bin/pip --disable-pip-version-check --quiet install --require-hashes -r requirements-sip2.lock
	@touch $@

# Needs `uv`; the files hold hashes and no address, so any index that serves the same files will do.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header pyproject.toml --extra build
lock:
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra test --extra nfc --extra gpio --extra modbus --extra parquet --constraints requirements.lock --output-file requirements-test.lock
	$(LOCK) --extra nfc --extra gpio --extra modbus --constraints requirements.lock --output-file requirements-gate.lock
	$(LOCK) --extra pcsc --constraints requirements.lock \
	  | awk '/^[^ ]/ {keep = /^pyscard/} keep' > requirements-pcsc.lock
	$(LOCK) --extra parquet --constraints requirements-test.lock \
	  | awk '/^[^ ]/ {keep = /^pyarrow/} keep' > requirements-parquet.lock
	echo pysip2 | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header - --output-file requirements-sip2.lock

clean:
	rm -rf build $(VENV) $(SIP2_VENV) *.egg-info
