# Everything a person does with this repository. `make help` lists the targets; it is read from their ## comments.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
# One shell for each recipe, so that its lines can share variables.
.ONESHELL:

VENV    := .venv
PY      := $(VENV)/bin/python
PIP     := $(PY) -m pip --disable-pip-version-check --quiet
RUNTIME ?= kwok
NODES   ?= 4
WORKERS ?= 8
EXAMPLE ?= 01-sequential
TESTS   ?=
ARGS    ?=
# Processes of the test runs. Each one that runs cluster tests starts a control plane of its own, of about 1 GB.
TEST_PROCESSES ?= 2
# Of `images` and `release`: where images go, the base of the image, its processors, whether to push.
REGISTRY ?=
BASE     ?=
ARCH     ?=
PUSH     ?= 0
# Of `build` and `images`: auto compiles the core where there is a C compiler, 1 fails without one, 0 does not compile.
COMPILED ?= auto
# Of `demo`: run the examples again and again.
LOOP     ?= 0
# Of `install`: the image to run, where it is not the one that the manifests name.
IMAGE    ?=

# The program itself, and what tests and linters need on top. setup.cfg pins every version.
INSTALLED  := $(VENV)/.installed
DEVELOPING := $(VENV)/.developing

# The cluster of `run`, `install-crds`, `deploy-example` and the like: that of KUBECONFIG if it is set, else the local one
# if there is one, else kubectl's own default. The other targets do not read KUBECONFIG.
LOCAL := $(CURDIR)/.cluster/kubeconfig
ifeq ($(strip $(KUBECONFIG)),)
USED := $(wildcard $(LOCAL))
else
USED := $(KUBECONFIG)
endif

# What to do is easily missed below pip's own words.
PIP_FAILED = echo "make: pip could not install the packages; check the network, or name a mirror in PIP_INDEX_URL, and run the \
same command again" >&2; exit 1

# kubectl from PATH, else the one that was built with the local cluster. Prints which cluster is used.
FIND_KUBECTL = export KUBECONFIG="$(USED)"; kubectl=$$(hack/find-kubectl.sh $(PY))

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z.][a-z-]*:.*## / { printf "  %-24s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

## Environment

$(INSTALLED): setup.cfg pyproject.toml pkg/version.py
	@if ! $(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
	  python=$$(hack/find-python.sh)
	  echo "making $(VENV) with $$("$$python" --version)"
	  rm -rf $(VENV)
	  "$$python" -m venv $(VENV)
	fi
	echo "installing work-flow and what it needs"
	$(PIP) install --editable '.[controller,dashboard,auth-provider]' || { $(PIP_FAILED); }
	touch $@

$(DEVELOPING): $(INSTALLED)
	@echo "installing what tests and linters need"
	$(PIP) install --editable '.[controller,dashboard,auth-provider,test,dev]' || { $(PIP_FAILED); }
	touch $@

.PHONY: .venv
.venv: $(DEVELOPING) ## Make the Python environment, with everything for development

## Work

.PHONY: build
build: $(DEVELOPING) ## Build the wheels into dist/: plain, and compiled for this machine (COMPILED=0 or 1)
	@exec $(PY) -m hack.image wheels --compiled=$(COMPILED)

.PHONY: compile
compile: $(DEVELOPING) ## Compile the core in place (two minutes); `clean` takes it off again
	@exec $(PY) -m hack.compiled make

# Stops before a compiled core runs that is older than its sources.
.PHONY: .fresh
.fresh: $(INSTALLED)
	@exec $(PY) -m hack.compiled check

.PHONY: test
test: $(DEVELOPING) ## Run all tests, those on real control planes too (about 30 minutes; TESTS=path for some)
	@if [ "$$(id -u)" = 0 ] && [ -n "$${CI:-}" ]; then
	  $(PY) -m hack.cluster install-packages || echo "make: tests on real containers are skipped" >&2
	  $(PY) -m hack.browser || echo "make: the test in a browser is skipped" >&2
	fi
	$(PY) -m hack.cluster binaries >/dev/null
	if [ -n "$(TESTS)" ]; then
	  exec $(PY) -m pytest $(TESTS) $(ARGS)
	fi
	# First the many small tests. Then file by file, to whichever process is free: the tests of a file share its fixtures.
	# The longest file comes first.
	$(PY) -m pytest tests/unit tests/property -n $(TEST_PROCESSES) $(ARGS)
	# What the second part starts has a compiled core, as the image has, where a compiler is.
	WORKFLOW_CHECKOUT=$$($(PY) -m hack.compiled copy)
	export WORKFLOW_CHECKOUT
	$(PY) -m pytest tests/faults tests/cluster tests/browser/test_smoke.py tests/image tests/kubeflow -n $(TEST_PROCESSES) --dist loadfile \
	  --no-loadscope-reorder $(ARGS)

.PHONY: test-unit
test-unit: $(DEVELOPING) ## Run the unit tests alone (a minute or two)
	@$(PY) -m pytest tests/unit -n $(TEST_PROCESSES) $(ARGS)

.PHONY: test-browser
test-browser: $(DEVELOPING) ## Drive the dashboard in Chromium: five scenarios, axe, replay (root installs it; 5 minutes)
	@$(PY) -m hack.browser || true
	$(PY) -m hack.cluster binaries >/dev/null
	exec $(PY) -m pytest tests/browser $(ARGS)

.PHONY: test-long
test-long: $(DEVELOPING) ## Run the property tests with many more examples (an hour)
	@HYPOTHESIS_PROFILE=long $(PY) -m pytest tests/property $(ARGS)

.PHONY: test-compiled
test-compiled: $(DEVELOPING) ## Run unit and property tests on a compiled core (some minutes)
	@trap '$(PY) -m hack.compiled remove' EXIT
	$(PY) -m hack.compiled make
	$(PY) -m pytest tests/unit tests/property -n $(TEST_PROCESSES) $(ARGS)

.PHONY: faults
faults: $(DEVELOPING) ## Inject faults into 200 workflows per fault, and count what was lost (before a release)
	@exec $(PY) -m hack.faults $(ARGS)

.PHONY: test-kubeflow
test-kubeflow: $(DEVELOPING) ## Run Kubeflow's real training operator against the local cluster (built once, some minutes)
	@$(PY) -m hack.cluster binaries >/dev/null
	$(PY) -m pytest tests/kubeflow -m kubeflow $(ARGS)

.PHONY: test-install
test-install: $(DEVELOPING) ## Install the image on a node with real containers (root; 5 minutes)
	@if [ "$$(id -u)" = 0 ]; then
	  $(PY) -m hack.cluster install-packages
	  $(PY) -m hack.image install-packages
	fi
	$(PY) -m hack.cluster binaries >/dev/null
	exec $(PY) -m pytest tests/install -m install $(ARGS)

.PHONY: check-metrics
check-metrics: $(DEVELOPING) ## Check metrics with promtool (built once)
	@exec $(PY) -m hack.promtool

.PHONY: lint
lint: lint-code lint-manifests ## Check everything that `lint-code` and `lint-manifests` check

.PHONY: lint-code
lint-code: $(DEVELOPING) ## Check style, types and layers (a minute)
	@$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

.PHONY: lint-manifests
lint-manifests: $(DEVELOPING) ## Check installer/ with helm, kubeconform, kube-score and promtool (built once, some minutes)
	@exec $(PY) -m hack.manifests

.PHONY: format
format: $(DEVELOPING) ## Format the code with ruff
	@$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: generate
generate: $(INSTALLED) ## Write the generated files: CRDs, Helm chart, dashboard and diagrams
	@$(PY) -m hack.gen_crds
	$(PY) -m hack.manifests.generate
	$(PY) -m hack.draw_phases

.PHONY: page
page: web/node_modules ## Bundle the dashboard's page from web/ (needs Node.js)
	@cd web && node build.mjs

web/node_modules: web/package-lock.json
	@cd web && npm ci --no-audit --no-fund --silent
	touch node_modules

.PHONY: verify
verify: generate ## Write the generated files; fail if any file is not committed, or helm makes something else
	@if command -v npm >/dev/null; then
	  $(MAKE) --no-print-directory page
	else
	  echo "make: without Node.js the bundle of the dashboard is not compared" >&2
	fi
	changed=$$(git status --porcelain) || { echo "make: verify needs a git checkout" >&2; exit 1; }
	if [ -n "$$changed" ]; then
	  echo "make: the tree is dirty; commit these, or undo them:" >&2
	  echo "$$changed" >&2
	  exit 1
	fi
	$(PY) -m hack.manifests chart
	echo "the generated files are up to date, and the tree is clean"

.PHONY: bench
bench: $(DEVELOPING) .fresh ## Measure the controller on a real control plane (before and after a change)
	@exec $(PY) -m hack.bench $(ARGS)

.PHONY: images
images: $(DEVELOPING) ## Build the image with docker, podman or buildah (REGISTRY=, BASE=, ARCH=; PUSH=1 pushes)
	@exec $(PY) -m hack.image build --registry="$(REGISTRY)" --base="$(BASE)" --arch="$(ARCH)" \
	  --compiled=$(COMPILED) $(if $(filter-out 0,$(PUSH)),--push)

.PHONY: release
release: $(DEVELOPING) ## Make a release in dist/: wheel, images, manifests, SBOM (REGISTRY=; PUSH=1 pushes)
	@exec $(PY) -m hack.image release --registry="$(REGISTRY)" --base="$(BASE)" --arch="$(ARCH)" $(if $(filter-out 0,$(PUSH)),--push)

## Clusters

.PHONY: demo
demo: $(INSTALLED) ## Run the seven main examples on a cluster of their own, live in terminal and browser (LOOP=1)
	@exec $(PY) -m hack.demo $(if $(filter-out 0,$(LOOP)),--loop) $(ARGS)

.PHONY: cluster-up
cluster-up: $(INSTALLED) ## Start a local cluster in .cluster/, with the CRDs (RUNTIME=kwok or containers, NODES=4)
	@exec $(PY) -m hack.cluster up --runtime $(RUNTIME) --nodes $(NODES) --crds installer/crds $(ARGS)

.PHONY: cluster-down
cluster-down: $(INSTALLED) ## Stop the local cluster
	@exec $(PY) -m hack.cluster down

.PHONY: run
run: .fresh ## Run the controller here, on the cluster of KUBECONFIG or the local one (ARGS=flags)
	@used="$(USED)"
	if [ -z "$$used" ] && [ ! -f ~/.kube/config ] && [[ "$(ARGS)" != *--kubeconfig* && "$(ARGS)" != *--master* ]]; then
	  echo "make: no cluster yet: run 'make cluster-up' in another terminal; waiting for it (Ctrl-C ends this)" >&2
	  until $(PY) -m hack.cluster status >/dev/null 2>&1; do sleep 1; done
	  used=$(LOCAL)
	fi
	KUBECONFIG="$$used" exec $(VENV)/bin/workflow-controller --workers=$(WORKERS) --log-format=console $(ARGS)

.PHONY: run-webhook
run-webhook: $(INSTALLED) ## Run the admission webhook here, for the local cluster (ARGS=flags)
	@if [ ! -f "$(LOCAL)" ]; then
	  echo "make: no local cluster yet: run 'make cluster-up' first" >&2
	  exit 1
	fi
	KUBECONFIG="$(LOCAL)" exec $(PY) -m hack.webhook_process $(ARGS)

.PHONY: install-crds
install-crds: $(INSTALLED) ## Install the CRDs in the cluster of KUBECONFIG or the local one
	@$(FIND_KUBECTL)
	"$$kubectl" apply -f installer/crds/
	# It fails on a CRD that has no conditions yet, which is so for a moment.
	established() { "$$kubectl" wait --for=condition=Established --timeout=60s -f installer/crds/ >/dev/null; }
	established 2>/dev/null || { sleep 1; established; }

.PHONY: uninstall-crds
uninstall-crds: $(INSTALLED) ## Remove the CRDs, and every Workflow and WorkTemplate with them
	@$(FIND_KUBECTL)
	"$$kubectl" delete --ignore-not-found -f installer/crds/

.PHONY: install
install: $(INSTALLED) ## Install installer/controller in the cluster of KUBECONFIG or the local one (IMAGE=NAME:TAG)
	@$(FIND_KUBECTL)
	if [ -z "$(IMAGE)" ]; then
	  exec "$$kubectl" apply -f installer/controller/
	fi
	for file in installer/controller/*.yaml; do echo ---; cat "$$file"; done |
	  sed 's|^\( *image: \)workflow-controller:.*|\1$(IMAGE)|' | "$$kubectl" apply -f -

.PHONY: uninstall
uninstall: $(INSTALLED) ## Remove every Workflow with its jobs, then everything that was installed
	@$(FIND_KUBECTL)
	hack/uninstall.sh "$$kubectl"

.PHONY: deploy-example
deploy-example: $(INSTALLED) ## Apply one example (EXAMPLE=01-sequential)
	@if [ ! -f "examples/$(EXAMPLE).yaml" ]; then
	  echo "make: there is no example '$(EXAMPLE)'; EXAMPLE is one of $$(cd examples && ls *.yaml | sed 's/\.yaml$$//' | xargs)" >&2
	  exit 1
	fi
	$(FIND_KUBECTL)
	"$$kubectl" apply -f "examples/$(EXAMPLE).yaml"

.PHONY: deploy-advanced-example
deploy-advanced-example: ## Apply the example with all features
	@$(MAKE) --no-print-directory deploy-example EXAMPLE=advanced

.PHONY: undeploy-examples
undeploy-examples: $(INSTALLED) ## Remove all examples
	@$(FIND_KUBECTL)
	"$$kubectl" delete --ignore-not-found -f examples/

.PHONY: clean
clean: ## Remove what was built or compiled here; the environment and the cached binaries stay
	@find pkg -name '*.so' -delete
	rm -rf build dist *.egg-info .coverage htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.DEFAULT:
	@echo "make: there is no target '$@'; 'make help' lists the targets" >&2; exit 2
