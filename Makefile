# make prints its targets. CI calls the same ones.
.DEFAULT_GOAL := help
SHELL := /bin/bash
GO ?= go
# The race detector needs a C compiler; without one the tests run plain.
RACE := $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Given to the linker, so that they are there with -buildvcs=false too.
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
COMMIT_TIME ?= $(shell TZ=UTC git show -s --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
FUZZTIME ?= 30s
SOAK ?= 20m
# A mirror of https://vuln.go.dev, or a copy of it (file:///...), where that can't be reached.
VULNDB ?= https://vuln.go.dev

.PHONY: help build test race long survive soak fuzz lint vuln bench bench-full profile golden clean

help: ## print the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

build: ## build ./sett
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.commitTime=$(COMMIT_TIME)" -o sett ./cmd/sett

# -pgo=off: with the profile of cmd/sett each package would be compiled twice.
test: ## vet, then every test with the race detector (where there is a C compiler)
	$(GO) vet ./...
	$(GO) test $(RACE) -pgo=off -timeout 15m ./...

race: ## every test with the race detector, or fail
	$(GO) test -race -pgo=off -timeout 15m ./...

long: ## the tests that take long: more kills, more random commands
	SETT_LONG=1 $(GO) test $(RACE) -pgo=off -timeout 60m ./...

survive: ## kills, power cuts (as root), full disks, few files, overwrites: data survive
	SETT_LONG=1 $(GO) test -timeout 30m -count 1 -run TestSurvive ./integration -v

soak: ## half of the top load for SOAK: memory, goroutines, files and disk stay what they are
	SETT_SOAK=$(SOAK) $(GO) test -count 1 -timeout 0 -run '^TestSoak$$' ./integration -v

fuzz: ## fuzz every decoder for FUZZTIME each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

lint: ## gofmt, vet, and the rules of the house (imports, sizes, comments)
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) test -run 'Lint|README' -count 1 ./integration

vuln: ## look for known vulnerabilities in what the code calls, in the database VULNDB
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -db $(VULNDB) ./...

bench: ## sett beside echo, JetStream KV, and etcd and Redis where they are on the PATH
	$(GO) run ./integration/bench

bench-full: ## the same, every row and longer
	$(GO) run ./integration/bench --full

profile: ## measure anew which code is hot, for the compiler: cmd/sett/default.pgo
	@dir=$$(mktemp -d) && trap "rm -rf $$dir" EXIT && \
	$(GO) build -trimpath -o $$dir/sett ./cmd/sett && \
	SETT_CPU_PROFILE=$$dir $(GO) run ./integration/bench --sett $$dir/sett --rows sett-durable,sett-live --scenario set,get,batch,list --rounds 1 --seconds 4 && \
	$(GO) tool pprof -proto $$dir/*.pprof > cmd/sett/default.pgo

golden: ## write the golden files and the README's contract table anew
	$(GO) test ./codec ./subjects ./engine ./integration -run 'Contract|Golden|Scripts|Format|README' -count 1 -update

clean: ## remove what was built
	rm -f sett
