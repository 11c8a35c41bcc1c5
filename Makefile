# The door for people and for CI: `make` lists what there is. A plain `swift build -c release` gives the
# same programs; nothing that a build needs is made here.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The Swift driver, for those who have several or want to put a command before it.
SWIFT ?= swift
# Where `make run` listens and keeps its state; empty means what `sapphire up` chooses by itself. TLS=1
# serves https and wss.
LISTEN ?=
DATA ?=
CONFIG ?=
TLS ?=
# Seconds of fuzzing, crash images, the name of a new plugin.
T ?= 60
N ?= 5000
NAME ?=
# How many seeds of the simulation, from which on, or which one.
SEEDS ?= 200
FROM ?= 1
SEED ?=
# A copy of the repository socketio/socket.io, for its suites.
SUITES ?=
# The directory of another build, for tests of both together.
OLD ?=
export SWIFT
# Colours are a compiler flag: with them on a terminal and without them in a log, `make run` and
# `make test` would build everything twice.
PLAIN := --no-color-diagnostics

help: ## this list
	@echo "make run and make test are all that is needed to begin. The others:"; echo
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)$$/  \1\t\2/p' Makefile | expand -t 18
	@echo; echo "Settings: make run LISTEN=127.0.0.1:9000 DATA=./state CONFIG=FILE TLS=1 WATCH=1"

deps: ## installs every missing Debian package: for running, testing and benchmarks
	@infra/deps run check test bench
deps-run:
	@infra/deps run
deps-check:
	@infra/deps run check
deps-test:
	@infra/deps run check test
deps-bench:
	@infra/deps run bench

deps-suites:
	@infra/deps run suites

build: deps-run ## release build of all programs, into .build/release
	$(SWIFT) build -c release $(PLAIN)

run: build ## starts everything on this machine and prints its address; WATCH=1 follows the sources
	@LISTEN='$(LISTEN)' DATA='$(DATA)' CONFIG='$(CONFIG)' TLS='$(TLS)' WATCH='$(WATCH)' infra/run

test: deps-test ## every test but the long ones, 11 to 14 minutes on two cores; ends with `N passed, N failed`
	@T=$(T) N=$(N) infra/test all

check: deps-check ## before a commit: format, lint, layers, unit tests; under two minutes
	@infra/test check

lint: deps-check ## format, sizes, links of the documentation, layers
	@infra/test lint

test-unit: deps-run ## unit tests, codecs and golden vectors; F=NAME chooses some
	$(SWIFT) test $(PLAIN) $(if $(F),--filter '$(F)')

test-services: deps-test ## tests against the real programs: clients, browser, deployment files
	@infra/test services

test-long: deps-test ## for a night: ten times the faults, all orders, storms, sanitizers, Autobahn, 10 min of fuzzing, 100,000 crash images
	@T=600 N=100000 infra/test long

test-stolen: deps-test ## tests of whole programs while the processors are taken away now and then; needs root
	@infra/test stolen

test-mixed: deps-test ## each service in turn from another build, OLD=DIR, then a rolling upgrade from it
	@OLD='$(OLD)' infra/test mixed

fuzz: deps-run ## replays the kept inputs, then fuzzes every parser for T seconds
	@T=$(T) Tests/Fuzz/run

autobahn: deps-test build ## the 517 cases of the Autobahn suite; needs a Python 2.7, and installs the suite from PyPI
	@Tests/Autobahn/run

conformance-socketio: deps-suites build ## the suites of Socket.IO and Engine.IO, SUITES=DIR a copy of their repository, N times
	@SUITES='$(SUITES)' SAPPHIRE_BIN='$(CURDIR)/.build/release' Tests/SocketIO/run $(if $(filter-out 5000,$(N)),$(N),1)

conformance-centrifuge: deps-test build ## the suite of centrifuge-python, SUITES=DIR a copy of its repository
	@Tests/Centrifuge/run -k page >/dev/null
	@SAPPHIRE_BIN='$(CURDIR)/.build/release' Tests/Centrifuge/suite '$(SUITES)'

crash: deps-test ## rebuilds the store's disk at N crash points and starts from each
	@N=$(N) infra/test crash

simulate: deps-test build ## store, hub, gateways and clients with faults by SEEDS=200 seeds; SEED=N one, with its trace
	@SEEDS='$(SEEDS)' SEED='$(SEED)' FROM='$(FROM)' Tests/Simulation/run

storm: deps-test build ## 10,000 clients whose gateway is killed come back to another; TLS=1: 5,000 with TLS
	SAPPHIRE_BIN='$(CURDIR)/.build/release' Tests/Clients/storm.py $(if $(TLS),--tls) $(ARGS)

bench: deps-bench build ## measures us beside a C epoll server and Redis, and holds the bars
	$(MAKE) -C infra/bench
	infra/bench/run.py $(ARGS)

sbom: deps-check build ## a bill of materials of the executables, CycloneDX JSON, to standard output
	@infra/sbom .build/release

reproducible: deps-run ## builds the last commit twice and compares the executables byte for byte
	@infra/reproducible

golden-update: deps-run ## writes the golden vectors and the tables of docs/PROTOCOL.md anew
	UPDATE_GOLDEN=1 $(SWIFT) test $(PLAIN) --filter WireTests

protocol-doc: deps-run ## writes the tables of docs/PROTOCOL.md and docs/CONFIGURATION.md anew
	UPDATE_GOLDEN=1 UPDATE_DOCS=1 $(SWIFT) test $(PLAIN) --filter 'ProtocolDocTests|tablesOfTheReference'

plugin: ## makes a new channel type: make plugin NAME=Chat
	@infra/make-plugin '$(NAME)'

asan: deps-check ## unit, contract and fault tests under the address sanitizer, in .build/asan
	@infra/test asan

tsan: deps-check ## unit, contract and fault tests under the thread sanitizer, in .build/tsan
	@infra/test tsan

clean: ## removes everything that was built
	rm -rf .build

.PHONY: help deps deps-run deps-check deps-test deps-bench build run test check lint test-unit \
  test-services test-long test-stolen test-mixed fuzz autobahn deps-suites conformance-socketio conformance-centrifuge crash simulate storm bench sbom reproducible golden-update protocol-doc plugin asan tsan clean
