# monokube's two commands are `make run` and `make test`; the others take longer or need more.
SHELL := /bin/bash
CARGO ?= cargo
# Where the recordings of a stock server are, for `make parity`.
SHARED ?= ../shared
DATA ?= data

.PHONY: run build test parity clients nodes nodes-down conformance smoke-nodes check-nodes figures-nodes fuzz bench clean

run: NODES ?= 3
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

nodes: NODES ?= 2
nodes: ## NODES stock nodes (containerd, kubelet, kube-proxy, CoreDNS) on this machine, as root; PROGRAM: the monokube to try
	tests/nodes/build nodes
	$(if $(PROGRAM),,$(CARGO) build --release --locked)
	tests/nodes/up $(NODES)

nodes-down: ## takes them down and leaves nothing behind
	tests/nodes/down

conformance: ## specs of the upstream suite against `make nodes`, all or FOCUS=REGEXP; writes docs/conformance.md
	tests/nodes/build suite
	tests/nodes/conformance

smoke-nodes: ## a spec or two of each area against `make nodes`
	tests/nodes/build suite
	tests/nodes/conformance tests/nodes/smoke

check-nodes: ## what no spec asks, against `make nodes`: joining, rotation, outage, a lost node; CHECKS: some of it
	tests/nodes/build checks
	tests/nodes/checks $(CHECKS)

figures-nodes: ## what nodes, pods and the control plane take on 3 stock nodes; PLANE=stock: with stock's control plane
	tests/nodes/build nodes
	$(if $(filter stock,$(PLANE)),tests/nodes/build stock)
	$(if $(PROGRAM),,$(CARGO) build --release --locked)
	tests/nodes/figures all
	tests/nodes/down

fuzz: ## every fuzz target for FUZZ_SECONDS seconds
	tools/fuzz

bench: ## all benchmarks
	$(CARGO) bench --locked

clean:
	$(CARGO) clean
