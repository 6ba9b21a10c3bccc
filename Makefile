# monokube's two commands are `make run` and `make test`; the others take longer or need more.
SHELL := /bin/bash
CARGO ?= cargo
# Where the recordings of a stock server are, for `make parity`.
SHARED ?= ../shared
NODES ?= 3
DATA ?= data

.PHONY: run build test parity clients fuzz bench clean

run: ## start a control plane with simulated nodes
	tools/setup build
	$(CARGO) build --release --locked
	tools/run $(DATA) $(NODES)

build: ## the program, optimised
	tools/setup build
	$(CARGO) build --release --locked

# Some recorded answers hang on who is faster, a controller or the next request: a second replay decides.
test: ## format, lints, and all tests
	tools/setup test
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked
	export PROGRAM=$${CARGO_TARGET_DIR:-target}/debug/monokube; for STORE in embedded etcd; do export STORE; \
		tools/parity $(SHARED) --check || tools/parity $(SHARED) --check || exit 1; done

parity: ## replay what a stock server answered; writes docs/parity.md
	tools/setup build
	$(CARGO) build --release --locked
	tools/parity $(SHARED)

clients: ## programs on real client libraries (client-go, Python, kube-rs) against a fresh server
	tools/setup build
	$(CARGO) build --release --locked
	tools/clients

fuzz: ## every fuzz target for FUZZ_SECONDS seconds
	tools/fuzz

bench: ## all benchmarks
	$(CARGO) bench --locked

clean:
	$(CARGO) clean
