# The project's verbs. Each recipe that compiles sources .ci/env: it names the target directory, checks
# the C++ tools and provides the RocksDB archive.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# The tests start the real programs from here.
binaries = METASTORE_CORE_BIN="$$CARGO_TARGET_DIR/$(1)/metastore-core" METASTORE_SIDECAR_BIN="$$CARGO_TARGET_DIR/$(1)/metastore-sidecar"

# Crates that are no members of the workspace: their dependencies are none of ours.
apart = tests/clients/rust tests/fuzz

.PHONY: help run test test-pod verify fix fuzz bench image tidy

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: ## Build, start core on :2379 and the sidecar on :2381 with data in ./data; Ctrl-C stops both.
	@exec .ci/dev

test: ## Run every test, then etcd's clients against the real programs (absent toolchains are named).
	@. .ci/env; \
	export $(call binaries,debug); \
	cargo build --workspace --bins --locked; \
	cargo test --workspace --locked; \
	tests/clients/run "$$METASTORE_CORE_BIN"; \
	tests/page/run "$$METASTORE_CORE_BIN" "$$METASTORE_SIDECAR_BIN"; \
	tests/dashboard/run "$$METASTORE_CORE_BIN" "$$METASTORE_SIDECAR_BIN"

test-pod: ## Test the chart, build the images, run the pod for real, and a Kubernetes API server on it (needs root).
	@tests/pod/chart
	@tests/pod/run

verify: ## Check format, lints, layers, tests and clients; write nothing in the tree.
	@.ci/need cargo rustfmt clippy
	cargo fmt --all --check
	@for crate in $(apart); do cargo fmt --manifest-path $$crate/Cargo.toml --check; done
	@$(MAKE) tidy
	@. .ci/env; cargo clippy --workspace --all-targets --locked -- -D warnings; \
	cargo clippy --manifest-path tests/fuzz/Cargo.toml --bins --lib --locked --no-deps \
	  --target-dir "$$CARGO_TARGET_DIR/fuzz" -- -D warnings
	@$(MAKE) test

fix: ## Format the code and apply what clippy can mend by itself.
	@.ci/need cargo rustfmt clippy
	@. .ci/env; cargo clippy --workspace --all-targets --locked --fix --allow-dirty --allow-staged
	cargo fmt --all
	@for crate in $(apart); do cargo fmt --manifest-path $$crate/Cargo.toml; done
	@# What core depends on stands in this lock file too.
	cargo update --workspace --manifest-path tests/fuzz/Cargo.toml

fuzz: ## Fuzz every decoder for SECONDS (60) each; the corpus grows in the cache, a crash says how to replay it.
	@SECONDS_EACH=$(or $(SECONDS),60) tests/fuzz/run

bench: ## Measure the server, with etcd beside it where Go is present, and print the ratios.
	@test -x tests/bench/run || { echo "make bench: tests/bench/run is missing" >&2; exit 1; }
	@. .ci/env; \
	export $(call binaries,release); \
	cargo build --release --bins --locked; \
	tests/bench/run

image: ## Build the images metastore-core and metastore-sidecar with docker, podman or buildah.
	@version=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1); \
	for tool in docker podman buildah none; do "$$tool" info >/dev/null 2>&1 && break; done; \
	[[ $$tool != none ]] || { echo "make image: no docker, podman or buildah works here" >&2; exit 1; }; \
	for part in core sidecar; do \
	  "$$tool" build --target "$$part" --tag "metastore-$$part:$$version" --build-arg VERSION="$$version" \
	    --build-arg REVISION="$$(git rev-parse HEAD)" --build-arg CREATED="$$(date -u +%Y-%m-%dT%H:%M:%SZ)" .; \
	done

# The same test that `make test` runs, without its dependencies: the answer takes a second.
tidy: ## Check layers, purity, file sizes and the files that documents name (seconds).
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	CARGO_MANIFEST_DIR="$(CURDIR)/tests" rustc --edition 2024 --test tests/tests/tidy.rs -o "$$out/tidy"; \
	RUST_BACKTRACE=0 "$$out/tidy" --quiet
