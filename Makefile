# One entry for everything. `make` alone says what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

FEATURES := --features failpoints
SERVERS := tests/servers
PYTHON := $(SERVERS)/python
DEBUG = $(abspath $(or $(CARGO_TARGET_DIR),target))/debug
PEERS := benches/peers
# Of `python3 benches/peers/run.py --help`.
PEERS_OPTIONS ?=
FUZZ_SECONDS ?= 60
FUZZ_LOG := tests/fuzz/artifacts/log
# As root apt works as it is; anyone else is told what to install.
APT_PACKAGES := prometheus prometheus-alertmanager chromium

.PHONY: help tools test test-aarch64 lint soak bench bench-peers fuzz fuzz-build

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 13

tools: ## Installs what the tests need: Prometheus, Alertmanager and Chromium from Debian, kinesis-local and playwright from npm, ministack, moto, DuckDB and sqlglot from PyPI
	@command -v python3 >/dev/null || { echo "python3 is needed: install it with your package manager"; exit 1; }
	@command -v npm >/dev/null || { echo "npm (Node.js 18 or newer) is needed: install it with your package manager"; exit 1; }
	@if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null || \
		! command -v prometheus-alertmanager >/dev/null || ! command -v amtool >/dev/null || \
		! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ]; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(APT_PACKAGES); \
		else \
			echo "needed: $(APT_PACKAGES). As root: apt-get install -y --no-install-recommends $(APT_PACKAGES)"; exit 1; \
		fi; \
	fi
	@python3 -m pip --version >/dev/null 2>&1 || { echo "pip for python3 is needed: install python3-pip with your package manager"; exit 1; }
	@if [ ! -e $(PYTHON)/.installed ] || [ $(SERVERS)/requirements.txt -nt $(PYTHON)/.installed ]; then \
		python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --root-user-action ignore --upgrade --target $(PYTHON) -r $(SERVERS)/requirements.txt && touch $(PYTHON)/.installed; \
	fi
	@if [ ! -e $(SERVERS)/node_modules/.package-lock.json ] || [ $(SERVERS)/package-lock.json -nt $(SERVERS)/node_modules/.package-lock.json ]; then \
		npm ci --prefix $(SERVERS) --no-audit --no-fund --silent; \
	fi

test: tools ## All tests, with what they need
	cargo test --workspace $(FEATURES)
	PYTHONPATH=$(abspath $(PYTHON)) python3 -m unittest discover -s tests/oracle -q
	TRAILMETER=$(DEBUG)/trailmeter PYTHONPATH=$(abspath $(PEERS)/python) python3 -m unittest discover -s $(PEERS) -q

lint: ## Formatting, clippy, docs, whether the fuzz targets fit the code; warnings are errors
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets $(FEATURES) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps $(FEATURES) --quiet
	cargo check --manifest-path tests/fuzz/Cargo.toml --quiet
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo "cargo-deny is not installed: licences and sources were not checked"; fi

soak: tools ## 200,000 events through a stream that is split and merged, with 20 kills
	TRAILMETER_SOAK_EVENTS=200000 cargo test --release $(FEATURES) --test kinesis soak -- --nocapture

bench: tools ## Speed of the pipeline by stage, memory of many callers, time from a call to a page, gzip by library
	cargo bench --bench decode
	cargo bench --bench pipeline
	cargo bench --bench rules
	cargo bench --bench memory
	cargo bench --bench paging
	cargo bench --bench inflate

bench-peers: ## Speed of `scan` beside ClickHouse, DuckDB, polars, jq and Python on the same files (installs 1.2 GB of Python packages)
	@python3 -m pip --version >/dev/null 2>&1 || { echo "pip for python3 is needed: install python3-pip with your package manager"; exit 1; }
	@if [ ! -e $(PEERS)/python/.installed ] || [ $(PEERS)/requirements.txt -nt $(PEERS)/python/.installed ]; then \
		python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --root-user-action ignore --upgrade --target $(PEERS)/python -r $(PEERS)/requirements.txt && touch $(PEERS)/python/.installed; \
	fi
	@command -v jq >/dev/null || [ "$$(id -u)" != 0 ] || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends jq; }
	PYTHONPATH=$(abspath $(PEERS)/python) python3 $(PEERS)/run.py $(PEERS_OPTIONS)

test-aarch64: ## The tests of what is another decoder on ARM, under emulation (installs qemu-user and a Rust target)
	@command -v qemu-aarch64 >/dev/null || [ "$$(id -u)" != 0 ] || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user; }
	@command -v qemu-aarch64 >/dev/null || { echo "qemu-aarch64 is needed: install qemu-user with your package manager"; exit 1; }
	rustup target add aarch64-unknown-linux-musl
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=qemu-aarch64 \
		cargo test --manifest-path tests/aarch64/Cargo.toml --target aarch64-unknown-linux-musl

fuzz-build:
	@cargo +nightly fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	cargo +nightly fuzz build --fuzz-dir tests/fuzz

fuzz: fuzz-build ## Each fuzz target for FUZZ_SECONDS (needs a nightly toolchain; installs cargo-fuzz)
	@mkdir -p $(dir $(FUZZ_LOG))
	@for target in $$(cargo +nightly fuzz list --fuzz-dir tests/fuzz); do \
		cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target -- -max_total_time=$(FUZZ_SECONDS) 2>$(FUZZ_LOG) \
			|| { tail -40 $(FUZZ_LOG); exit 1; }; \
		echo "$$target: $$(tail -1 $(FUZZ_LOG))"; \
	done
