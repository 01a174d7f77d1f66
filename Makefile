# Fairlead's front door. `make help` lists what it opens.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN       := bin/fairlead
SUDO      := $(if $(filter 0,$(shell id -u)),,sudo)

# What the machine must have, as Debian packages: runc runs the containers; the rest is for the
# tests that compare and for the benchmarks. Everything else is in the binary.
RUN_PACKAGES   := runc curl
TEST_PACKAGES  := runc curl nginx-light
BENCH_PACKAGES := runc curl haproxy nginx-light wrk nghttp2-client caddy strace

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: $(BIN) ## Build bin/fairlead

.PHONY: $(BIN)
$(BIN): embed
	go build -trimpath -ldflags "-X main.version=$(VERSION)" -o $@ ./cmd/fairlead

include build/embed.mk

# need installs the packages in $(1) that are missing, after saying so.
define need
	@missing=""; for p in $(1); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  echo "Installing these packages:$$missing"; \
	  $(SUDO) apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

.PHONY: run-deps test-deps bench-deps
run-deps:
	$(call need,$(RUN_PACKAGES))
test-deps:
	$(call need,$(TEST_PACKAGES))
bench-deps:
	$(call need,$(BENCH_PACKAGES))

.PHONY: run
run: run-deps build ## Start Fairlead, apply examples/ecs-fargate-alb, send requests; Ctrl-C ends it
	@go build -o .build/demo ./examples/ecs-fargate-alb/demo
	@$(SUDO) env "PATH=$$PATH" FAIRLEAD_TF_PLUGIN_DIR=$(TF_PLUGIN_DIR) .build/demo --fairlead $(BIN)

# The background instance of up and down.
PID := .build/fairlead.pid
LOG := .build/fairlead.log

.PHONY: up
up: run-deps build ## Start an ephemeral Fairlead in the background and wait until it is ready
	@mkdir -p .build
	@$(SUDO) sh -c 'nohup $(BIN) serve --ephemeral > $(LOG) 2>&1 & echo $$! > $(PID)'
	@for i in $$(seq 100); do curl -sf http://127.0.0.1:4566/_fairlead/health && echo && exit 0; \
	  $(SUDO) sh -c 'kill -0 $$(cat $(PID))' 2>/dev/null || break; sleep 0.1; done; cat $(LOG); exit 1

.PHONY: down
down: ## End the Fairlead that up started, and remove everything it made
	@$(SUDO) sh -c 'pid=$$(cat $(PID)) && kill $$pid && while grep -qs "^State:.[^Z]" /proc/$$pid/status; do sleep 0.1; done'
	@rm -f $(PID)

# Where the Terraform AWS provider lies, so that the tests need no network: the first plugin
# directory on this machine that has one. It holds HOST/NAMESPACE/NAME/VERSION/PLATFORM/BINARY.
TF_PLUGIN_DIR ?= $(shell find / -xdev -type f -name 'terraform-provider-aws_v*' \
	-not -path '*/.terraform/*' 2>/dev/null | head -1 | sed -E 's,(/[^/]+){6}$$,,')

.PHONY: test
test: test-deps build ## Run every test; what cannot run here says why
	FAIRLEAD_BIN=$(CURDIR)/$(BIN) FAIRLEAD_TF_PLUGIN_DIR=$(TF_PLUGIN_DIR) \
	  go test -json -timeout 15m ./... | go run ./test/report

.PHONY: check
check: ## Format, vet, generated code
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w .'; exit 1; }
	go vet ./...
	go generate ./internal/api
	git diff --exit-code internal/api

.PHONY: bench
bench: bench-deps build ## Measure: the whole on the example stack, the data plane beside other proxies
	$(SUDO) env "PATH=$$PATH" FAIRLEAD_BIN=$(CURDIR)/$(BIN) go run ./bench/stack
	go run ./bench
	go run ./bench/endure

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin $(EMBED_DIR)/*.gz
