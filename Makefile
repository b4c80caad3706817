# What to do with Floodgate. Every target works on a Debian with Rust, a C compiler and apt, without questions.

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
FUZZ_SECONDS ?= 20
# What soak and idle-memory are built with; dev is built in seconds, and is not what is deployed.
ENDURANCE_PROFILE ?= bench
SOAK_SECONDS ?= 60
IDLE_CONNECTIONS ?= 10000

.PHONY: help demo build test test-epoll shows bench soak idle-memory lint deny coverage loom fuzz mutants install-tools install-test-tools

help: ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## Build and start the edge with a simulated platform behind it; DEMO_ARGS="--port 8080" for options.
	$(CARGO) build --release --bin floodgate
	@exec $(TARGET_DIR)/release/floodgate demo $(DEMO_ARGS)

build:
	$(CARGO) build --release --bin floodgate

test: install-test-tools ## Run every test; the end-to-end tests on the kernel's best driver.
	$(CARGO) test --workspace

test-epoll: install-test-tools ## Run the end-to-end tests on epoll, as where io_uring is refused.
	FLOODGATE_TEST_DRIVER=epoll $(CARGO) test --test main

shows: install-test-tools ## The demonstrations of the issues in full size, with their figures.
	FLOODGATE_SHOWS=full $(CARGO) test --profile $(ENDURANCE_PROFILE) --test main -- --test-threads 1 --nocapture shows::

bench: ## Measure beside HAProxy, nginx and a raw forwarder; see benches/README.md. BENCH_ARGS="--quick" for a look.
	@.ci/install nginx haproxy
	$(CARGO) bench --bench side_by_side -- $(BENCH_ARGS)

soak: ## Kill workers at random under half load for SOAK_SECONDS; FLOODGATE_SEED repeats a run.
	@SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) bench --profile $(ENDURANCE_PROFILE) --bench endurance -- soak

idle-memory: ## Memory of IDLE_CONNECTIONS idle keep-alive connections at one worker; fails above 8 KiB each.
	@IDLE_CONNECTIONS=$(IDLE_CONNECTIONS) $(CARGO) bench --profile $(ENDURANCE_PROFILE) --bench endurance -- idle-memory

lint: ## Formatting, clippy without a warning, dependency rules.
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@.ci/deny

deny: ## Dependency rules alone.
	@.ci/deny

coverage: install-test-tools ## Lines and functions covered by all tests, as HTML in coverage/; fails below the thresholds.
	@.ci/coverage

loom: ## Exhaustive interleavings of the lock-free protocols.
	@.ci/loom

fuzz: ## Run every fuzz target for FUZZ_SECONDS; needs nightly and cargo-fuzz.
	@FUZZ_SECONDS=$(FUZZ_SECONDS) .ci/fuzz

mutants: ## Mutate the files that decide about access; every survivor needs a reason in .ci/mutants-accepted.
	@.ci/mutants

install-test-tools: ## Install what the tests need (redis-server, openssl), if this user may.
	@.ci/install redis-server openssl

install-tools: install-test-tools ## Install the tools of lint, coverage, fuzz and mutants.
	@.ci/install cargo-deny cargo-tarpaulin cargo-mutants cargo-fuzz
