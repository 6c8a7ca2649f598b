# SPDX-License-Identifier: BSD-3-Clause
# Makefile -- the front door: set-up, build, and what to do with the build. CMake does the building.
#   make demo      simulate a small experiment, run everything on it, say what was recovered
#   make test      build and run all tests; ends with "N passed, N failed"
#   make install   PREFIX=/usr/local (DESTDIR is honoured)
#   make lint      formatting, clang-tidy, cppcheck, rules of this project
#   make bench     all benchmarks as JSON lines; bench-fit, -io, -reduce, -map, -lsq: one each
#   make gpu-test  sums and fits on this machine's CUDA devices, reading into their memory, against the processor; gpu-bench: how fast
#   make bench-peers  a Python environment with the codes compared with, used by the benchmarks when present
#   make accuracy  the statistical tests of the fit, and docs/fit-accuracy.md from them
#   make check-phonons DIR=...  frequencies against other projects' examples (docs/phonons.md)
#   make check-plan  what xani plan foretells against simulated experiments that are reduced and fitted, 13 settings (docs/plan.md)
#   make check-germanium GE=Ge_ge.mat DIR=...  a simulated rotation scan, from raw shots to branches (docs/map.md)
#   make fuzz      each parser of stored bytes under libFuzzer and sanitizers, FUZZ_RUNS=1000000 times
#   make mutate    20,000 damaged files: none may kill the process that reads it
#   make kill-test  a reduction killed XANI_KILLS=200 times at random instants, and before each call that changes a file, must end
#                   with the same hashes
#   make asan, make tsan   all tests under the address and undefined-behaviour, or thread, sanitizer
BUILD ?= build
PREFIX ?= /usr/local
PEERS = .venv-bench
# a newer Python than Debian 12's has cuPhoton and NLSQ: make bench-peers PEERS_PYTHON=python3.12
PEERS_PYTHON ?= python3

all: build

setup:
	tools/setup build

setup-test:
	tools/setup build test
	@tools/setup-python .venv-test extra_data==1.25.0

build: setup
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_ARGS)
	@cmake --build $(BUILD)

demo: build
	@test -x $(BUILD)/xani || { echo "$(BUILD)/xani was not built: the library is not complete"; exit 1; }
	$(BUILD)/xani demo demo --force

test: setup-test
	@tools/run-tests $(BUILD)

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

lint:
	tools/setup build test lint
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	tools/lint $(BUILD)

asan: setup-test
	@cmake --preset asan
	@tools/run-tests build-asan

tsan:
	tools/setup build test sanitize
	@cmake --preset tsan
	@tools/run-tests build-tsan

kill-test: setup-test
	@XANI_KILLS=$${XANI_KILLS:-200} tools/run-tests $(BUILD) -R cli/kill

fuzz:
	tools/setup build test sanitize
	@cmake --preset fuzz >/dev/null
	@tools/fuzz build-fuzz

mutate: setup-test
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@cmake --build $(BUILD) --target unit-test_mutated xani-worker
	@cd $(BUILD)/tests && XANI_MUTATIONS=$${XANI_MUTATIONS:-20000} ./unit-test_mutated

bench: bench-fit bench-io bench-reduce bench-map bench-lsq

bench-fit bench-io bench-reduce bench-map bench-lsq: build
	@PATH="$(CURDIR)/$(PEERS)/bin:$$PATH" $(BUILD)/xani bench $(@:bench-%=%) --json

gpu-test: setup-test
	@tools/gpu-test $(BUILD)

gpu-bench: build
	@tools/gpu-bench $(BUILD) $(NAME)

bench-peers:
	tools/setup bench
	test -d $(PEERS) || $(PEERS_PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet phonopy scipy lmfit nmrglue h5py hdf5plugin numba jax jaxfit matplotlib
	@for peer in nlsq legate "--no-deps cuphoton"; do \
	    $(PEERS)/bin/pip install --quiet $$peer 2>/dev/null || echo "not for this Python: $$peer"; done
	tools/build-no-cuda $(PEERS)

check-phonons: build
	@test -n "$(DIR)" || { echo "usage: make check-phonons DIR=folder with copies of phonopy/, alamode/ and euphonic/"; exit 2; }
	@PATH="$(CURDIR)/$(PEERS)/bin:$$PATH" tools/check-phonons $(BUILD)/xani "$(DIR)"

check-plan: setup-test
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@cmake --build $(BUILD) --target xani
	@XANI_PLAN_SETTINGS=all XANI_PLAN_TABLE="$(abspath $(BUILD))/check-plan.md" \
	    tools/run-script check-plan tests/cli/plan.py $(BUILD)/xani $(BUILD)/check-plan
	@cat $(BUILD)/check-plan.md

check-germanium: build
	@test -n "$(DIR)" -a -n "$(GE)" || { echo "usage: make check-germanium GE=force-constants.mat DIR=scratch"; exit 2; }
	@/usr/bin/python3 tools/check-germanium $(BUILD)/xani "$(GE)" "$(DIR)"

accuracy: setup-test
	@cmake -S . -B $(BUILD) -G Ninja >/dev/null
	@cmake --build $(BUILD) --target science-test_fit_success science-test_fit_calibration
	@PATH="$(CURDIR)/$(PEERS)/bin:$$PATH" python3 tools/make-accuracy $(BUILD)

clean:
	rm -rf $(BUILD) build-asan build-tsan

.PHONY: all setup setup-test build demo test install lint asan tsan kill-test fuzz mutate clean
.PHONY: accuracy check-phonons check-plan check-germanium gpu-test gpu-bench bench bench-fit bench-io bench-reduce bench-map bench-lsq bench-peers
