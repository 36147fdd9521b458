# The project's verbs. Each recipe that compiles sources .ci/env: it names the target directory, checks
# the C++ tools and provides the RocksDB archive.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# The tests start the real programs from here.
binaries = METASTORE_CORE_BIN="$$CARGO_TARGET_DIR/$(1)/metastore-core" METASTORE_SIDECAR_BIN="$$CARGO_TARGET_DIR/$(1)/metastore-sidecar"

.PHONY: help run test verify fix bench tidy

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: ## Build, start core on :2379 and the sidecar on :2381 with data in ./data; Ctrl-C stops both.
	@exec .ci/dev

test: ## Run every test, then etcd's clients against the real programs (absent toolchains are named).
	@. .ci/env; \
	export $(call binaries,debug); \
	cargo build --workspace --bins --locked; \
	cargo test --workspace --locked; \
	tests/clients/run "$$METASTORE_CORE_BIN"

verify: ## Check format, lints, layers, tests and clients; write nothing in the tree.
	@.ci/need cargo rustfmt clippy
	cargo fmt --all --check
	@$(MAKE) tidy
	@. .ci/env; cargo clippy --workspace --all-targets --locked -- -D warnings
	@$(MAKE) test

fix: ## Format the code and apply what clippy can mend by itself.
	@.ci/need cargo rustfmt clippy
	@. .ci/env; cargo clippy --workspace --all-targets --locked --fix --allow-dirty --allow-staged
	cargo fmt --all

bench: ## Measure the server, with etcd beside it where Go is present, and print the ratios.
	@test -x tests/bench/run || { echo "make bench: tests/bench/run is missing" >&2; exit 1; }
	@. .ci/env; \
	export $(call binaries,release); \
	cargo build --release --bins --locked; \
	tests/bench/run

# The same test that `make test` runs, without its dependencies: the answer takes a second.
tidy: ## Check layers, purity, file sizes and the files that documents name (seconds).
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	CARGO_MANIFEST_DIR="$(CURDIR)/tests" rustc --edition 2024 --test tests/tests/tidy.rs -o "$$out/tidy"; \
	RUST_BACKTRACE=0 "$$out/tidy" --quiet
