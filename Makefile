# `make` alone lists the targets.

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
CLASSES := $(VENV)/share/vitrine/spark.jsa
LOOPS := $(VENV)/share/vitrine/loops
# Three workers, also on two cores: many tests wait, for a lease or a file. Tests go to them a whole file at a time, since
# they share a training, a stream or a table; the longest first (tests/longest_first.py).
PYTEST := $(BIN)/python -m pytest -n 3
DEMO_EVENTS := 250000
# Else each process, and each worker of the tests, would compile the source anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup java demo live shop dashboards docs test test-slow test-programs e2e soak cluster-demo check lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) java $(CLASSES) $(LOOPS) ## Make .venv from the lock, and see to Java 17 or later

$(READY): requirements.lock pyproject.toml scripts/make-venv
	@scripts/make-venv $(VENV)
	@touch $@

java:
	@scripts/find-java

$(CLASSES): $(READY) app/core/class_archive.py | java
	@scripts/make-class-archive $(BIN)/python

# Else the first command to make a list would compile them; where they are kept is numba's business.
$(LOOPS): $(READY) app/serve/compiled.py app/serve/loops.py app/serve/pool_loops.py app/serve/visit_loops.py
	@echo "compiling the loops that lists are made by (a minute)"
	@rm -f app/serve/__pycache__/*.nb[ic]
	@$(BIN)/python -c "import app.serve.loops, app.serve.pool_loops, app.serve.visit_loops"
	@mkdir -p $(@D) && touch $@

demo: setup demo/shop.synthetic.csv ## Make a synthetic shop and train on it, into demo/
	$(BIN)/vitrine train --events demo/shop.synthetic.csv --output demo

demo/shop.synthetic.csv: | setup
	$(BIN)/vitrine generate --events $(DEMO_EVENTS) --output $@

live: setup ## Watch it live: generate, train, stream and replay, into live/
	$(BIN)/vitrine live --output live

shop: setup ## A shop to click through with everything behind it, into shop/, until Ctrl-C
	$(BIN)/vitrine shop --output shop

test: setup ## Run the tests (six to seven minutes on two cores)
	$(PYTEST) --dist loadfile -m "not slow"

test-slow: setup ## Run the long tests: kills, outages, full disks (nine to twelve minutes)
	$(PYTEST) --dist loadfile -m slow

test-programs: setup ## Run the tests, long ones too, that were skipped for want of influxd, helm, kubectl or Chromium
	$(PYTEST) --dist loadfile -m programs

e2e: setup ## Test the whole on the cluster of kubectl's context, or one that kind makes (thirteen to fifteen minutes)
	tests/e2e/run

HOURS := 24
RATE := 100
soak: setup ## A day of a shop as fast as the stream takes it, with faults, into soak/ (HOURS=24 RATE=100; an hour)
	$(BIN)/python benchmarks/soak.py --hours $(HOURS) --rate $(RATE)

cluster-demo: setup ## From nothing to a shop's page and dashboards with data, on kind
	scripts/cluster-demo

check: $(READY) ## Lint, formatting, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dashboards: $(READY) ## Write grafana/dashboards and docs/influxdb.md from their code
	$(BIN)/python -m app.monitor.dashboards
	$(BIN)/python -m app.monitor.schema docs/influxdb.md

docs: $(READY) ## Write docs/settings.md, docs/figures.md and the fields in docs/run.md from their code
	$(BIN)/python scripts/settings_page.py docs/settings.md
	$(BIN)/python scripts/run_page.py docs/run.md
	$(BIN)/python scripts/figures_page.py docs/figures.md

lock: ## Renew requirements.lock from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "uv is missing; type: python3.11 -m pip install --user uv" >&2; exit 2; }
	uv pip compile pyproject.toml --extra dev --generate-hashes --python-version 3.11 --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -o requirements.lock

clean: ## Delete demo/, live/, shop/ and caches; .venv stays
	rm -rf $(LOOPS) demo live shop soak build *.egg-info spark-warehouse metastore_db derby.log
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
