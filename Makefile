# Every task by name. `make` alone lists them. The logic is in the scripts, which also run without make.
# Values come from the command line or the environment: make train DATASET=me/cups STEPS=20000

PYTHON := .venv/bin/python
PATCHES := ./apply_patches.sh

# a variable as a flag, quoted for the shell; nothing when it is empty: $(call flag,steps,$(STEPS))
# (a line break, as in a long ARGS, is a space there: make would end the command at it)
define line_break


endef
quote = '$(subst ','\'',$(subst $(line_break), ,$(1)))'
# ~/ stands for the home folder, as it would without the quotes
argument = $(if $(filter ~/%,$(firstword $(1))),"$$HOME"$(call quote,$(subst ^~/,/,^$(1))),$(call quote,$(1)))
flag = $(if $(strip $(2)),--$(1)=$(call argument,$(2)))
# a checkout other than lerobot/ and a series other than the one that fits
where = $(call flag,target,$(TARGET)) $(call flag,series,$(SERIES))

# a sourced ROS puts another Python's packages there
unexport PYTHONPATH PYTHONHOME
# where it is set, each command would compile LeRobot anew
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup apply unapply status export check-patches bump check-bump series-figures pr \
	demo demo-dataset train label visualise calibrate improve score card benchmark benchmark-days benchmark-speed test test-upstream lint docs version clean

help: ## list the targets
	@awk -F ':.*## ' '/^## /{ print substr($$0, 3) } /^[a-z-]+:.*## /{ printf "  make %-15s %s\n", $$1, $$2 }' Makefile

## The patched LeRobot
setup: ## fill lerobot/ and make .venv (LEROBOT_URL=<git URL or path>)
	@$(if $(filter setup,$(MAKECMDGOALS)),,REWACT_QUIET=1 )scripts/setup.sh

apply: $(if $(TARGET),,setup) ## commit the patches to branch rewact of lerobot/ (TARGET=<your clone> SERIES= FORCE=1)
	@$(if $(TARGET),,scripts/locked.sh )$(PATCHES) $(where) apply

unapply: ## remove them: lerobot/ is exactly as it was (TARGET= FORCE=1)
	@$(PATCHES) $(where) unapply

status: ## what is applied where, and what to do next (TARGET=)
	@$(PATCHES) $(where) status

export: ## write the commits on branch rewact back to the patch series (TARGET= SERIES=)
	@$(PATCHES) $(where) export

check-patches: $(if $(TARGET),,setup) ## lint the series, apply it to a pristine copy, export it, compare
	@$(PATCHES) $(where) check

bump: ## a new series for another LeRobot release or commit (VERSION=v0.6.2 OUTPUT=<folder outside patches/>)
	@$(PATCHES) $(where) bump $(call quote,$(VERSION)) $(call flag,output,$(OUTPUT))

check-bump: setup ## bump to v0.6.0 and to a later main, and test there (LEROBOT_URL=<clone with history> NO_TESTS=1)
	@$(PYTHON) scripts/check_bump.py $(call argument,$(LEROBOT_URL)) $(if $(NO_TESTS),--no-tests) $(ARGS)

series-figures: setup ## how much of LeRobot the series changes, and of itself (SERIES=)
	@$(PYTHON) scripts/series_figures.py $(call flag,series,$(SERIES))

pr: ## push the applied commits to a fork, open the pull request (FORK=<owner/name or URL> BRANCH=rewact BASE=main)
	@$(PATCHES) $(where) pr $(call flag,fork,$(FORK)) $(call flag,branch,$(BRANCH)) $(call flag,base,$(BASE))

## Train and look
demo demo-dataset train label visualise calibrate improve score card: export REWACT_BY_MAKE = 1
demo: apply ## the whole journey in simulation: record, train, calibrate, and an arm that stops by itself (POLICY= ARGS=)
	@$(PYTHON) scripts/demo.py $(call flag,policy-path,$(POLICY)) $(ARGS)

demo-dataset: setup ## make the demo dataset: a scripted expert on the simulated SO-101
	@$(PYTHON) scripts/demo_dataset.py $(ARGS) && echo "Next, train on it: make train"

train: apply ## train RewACT, on the demo dataset or on DATASET= (ROOT= EPISODES= STEPS= OUTPUT= WANDB= ARGS=)
	@$(PYTHON) scripts/train.py $(call flag,dataset,$(DATASET)) $(call flag,root,$(ROOT)) \
		$(call flag,episodes,$(EPISODES)) $(call flag,steps,$(STEPS)) $(call flag,output,$(OUTPUT)) \
		$(call flag,wandb,$(WANDB)) $(call flag,args,$(ARGS))

label: apply ## a page on which you label how far each episode has come (DATASET= ROOT= POLICY= LABELS= PORT= ARGS=)
	@$(PYTHON) scripts/label.py $(call flag,dataset,$(DATASET)) $(call flag,root,$(ROOT)) \
		$(call flag,policy-path,$(POLICY)) $(call flag,labels,$(LABELS)) $(call flag,port,$(PORT)) $(ARGS)

visualise: apply ## draw the reward of the last training run, or of POLICY= (DATASET= ROOT= EPISODES= OUTPUT= ARGS=)
	@$(PYTHON) scripts/visualise.py $(call flag,policy-path,$(POLICY)) $(call flag,dataset-repo-id,$(DATASET)) \
		$(call flag,dataset-root,$(ROOT)) $(call flag,episodes,$(EPISODES)) $(call flag,output-dir,$(OUTPUT)) $(ARGS)

calibrate: apply ## find the reward at which the task counts as done (POLICY= DATASET= ROOT= EPISODES= ARGS="--early-stops 0.1")
	@$(PYTHON) scripts/calibrate.py $(call flag,policy-path,$(POLICY)) $(call flag,dataset-repo-id,$(DATASET)) \
		$(call flag,dataset-root,$(ROOT)) $(call flag,episodes,$(EPISODES)) $(ARGS)

improve: apply ## train on with recorded rollouts that you have labelled (POLICY= DATASET= ROOT= ROLLOUTS= STEPS= OUTPUT= ARGS=)
	@$(PYTHON) scripts/improve.py $(call flag,policy-path,$(POLICY)) $(call flag,dataset,$(DATASET)) \
		$(call flag,root,$(ROOT)) $(call flag,rollouts,$(ROLLOUTS)) $(call flag,steps,$(STEPS)) \
		$(call flag,output,$(OUTPUT)) $(call flag,args,$(ARGS))

score: apply ## score a dataset for RA-BC with the last run or POLICY= (DATASET= ROOT= EPISODES= OUTPUT= CROSS_FIT=K STEPS= ARGS=)
	@$(PYTHON) scripts/score_dataset.py $(call flag,policy-path,$(POLICY)) $(call flag,dataset-repo-id,$(DATASET)) \
		$(call flag,dataset-root,$(ROOT)) $(call flag,episodes,$(EPISODES)) $(call flag,output,$(OUTPUT)) \
		$(call flag,cross-fit,$(CROSS_FIT)) $(call flag,steps,$(STEPS)) $(call flag,args,$(ARGS))

card: apply ## write the model card of POLICY=, the dataset card of DATASET=; uploads nothing (ROOT= HUB_ID=)
	@$(PYTHON) scripts/card.py $(call flag,policy-path,$(POLICY)) $(call flag,hub-id,$(HUB_ID)) $(call flag,dataset,$(DATASET)) \
		$(call flag,root,$(ROOT))

benchmark-speed: apply ## what the reward costs, each figure against plain ACT (ARGS="--sizes 96x96")
	@$(PYTHON) scripts/benchmark_speed.py $(ARGS)

benchmark-days: apply ## the reward under other light, cameras and objects; hours, it resumes (ARGS=)
	@$(PYTHON) scripts/benchmark_days.py $(ARGS)

benchmark: apply ## measure the reward where the truth is known; hours, it resumes (QUICK=1: one task, one seed; ARGS=)
	@$(PYTHON) scripts/benchmark.py $(if $(QUICK),--quick) $(ARGS)

## Check
# The series' own tests are the files it adds under lerobot/tests. They use nothing of LeRobot's conftest,
# which PyPI's sdist lacks. Both runs happen, whatever the first one says; the last line is pytest's.
# One thread each: on the tests' small tensors, more threads mostly wait for each other.
test: apply ## all tests: those that the series adds to LeRobot, and our own (PYTEST_ARGS=)
	@export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1}; failed=0; \
	added=$$($(PATCHES) series-tests) || exit 1; \
	if [ -n "$$added" ]; then \
		(cd lerobot && ../$(PYTHON) -m pytest -p no:cacheprovider --noconftest $$added $(PYTEST_ARGS)) || failed=1; \
	fi; \
	$(PYTHON) -m pytest tests $(PYTEST_ARGS) || failed=1; \
	if [ $$failed = 1 ]; then echo "make test: tests failed, see above" >&2; fi; \
	exit $$failed

test-upstream: setup ## LeRobot's own tests on the pristine and the patched tree, and the difference (ALL=1 for every test)
	@$(PYTHON) scripts/test_upstream.py $(if $(ALL),--all) $(ARGS)

lint: apply ## ruff, mypy, shellcheck, the labelling page, links, and the patches (EXTERNAL=1: links to other sites too)
	@$(PYTHON) -m ruff check scripts tests
	@$(PYTHON) -m ruff format --check scripts tests
	@$(PYTHON) -m mypy
	@.venv/bin/shellcheck -x *.sh scripts/*.sh $(wildcard scripts/patch_tool/*.sh) $(wildcard .ci/run)
	@if command -v node >/dev/null; then for f in scripts/labelling/page/*.js; do node --input-type=module --check <$$f || { echo "lint: $$f, see above" >&2; exit 1; }; done; fi
	@EXTERNAL=$(EXTERNAL) $(PYTHON) scripts/check_links.py
	@files=$$($(PATCHES) series-files) || exit 1; cd lerobot && \
		if [ -n "$$files" ]; then ../.venv/bin/ruff check $$files && ../.venv/bin/ruff format --check $$files; fi
	@$(PATCHES) check

docs: setup ## the guides as a website in outputs/site; a warning is an error
	@PATH="$$PATH:$(CURDIR)/.uv/bin" NO_MKDOCS_2_WARNING=1 uv run --quiet --isolated --no-project --python .venv/bin/python \
		--with-requirements scripts/requirements-docs.txt mkdocs build --strict
	@echo "Open outputs/site/index.html"

version: ## RewACT's version, which CHANGELOG.md names, and LeRobot's
	@echo "RewACT $$(sed -n 's/^## \[\([0-9][^]]*\)\].*/\1/p' CHANGELOG.md | head -n 1)," \
		"commit $$(git describe --always --exclude='*' 2>/dev/null || echo unknown)," \
		"series $(notdir $(wildcard patches/v*))"

clean: ## remove caches; .venv, lerobot/, datasets and outputs stay
	@rm -rf .pytest_cache .ruff_cache .mypy_cache lerobot/.pytest_cache lerobot/.ruff_cache
	@find scripts tests lerobot/src lerobot/tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
