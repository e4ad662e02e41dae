# MailRelay: build, check and try the operator. `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := bin
DIST := $(CURDIR)/dist
TOOLS := controller-gen crd-ref-docs golangci-lint helm mailpit
CLUSTER := go -C hack/cluster run .
CHART := charts/mailrelay-operator

# The modules of this repository; each has its own dependencies.
MODULES := . hack/cluster hack/image hack/tools test/interop/clients/go

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Build

.PHONY: build
build: ## Build the operator and the relay into bin/.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o $(BIN)/ ./cmd/manager ./cmd/relay

.PHONY: images
images: build $(BIN)/mailpit ## Make the images of operator and relay as archives in dist/.
	hack/images.sh

controller-gen := sigs.k8s.io/controller-tools/cmd/controller-gen
crd-ref-docs := github.com/elastic/crd-ref-docs
golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
helm := helm.sh/helm/v4/cmd/helm
mailpit := github.com/axllent/mailpit

$(TOOLS:%=$(BIN)/%): $(BIN)/%: hack/tools/go.mod
	CGO_ENABLED=0 go -C hack/tools build -o $(CURDIR)/$@ $($*)
	@touch $@

##@ Generate and check

.PHONY: generate
generate: $(BIN)/controller-gen $(BIN)/crd-ref-docs ## Write everything that is generated.
	hack/generate.sh

.PHONY: fmt
fmt: ## Format the code.
	gofmt -w $$(git ls-files '*.go')

.PHONY: verify
verify: $(TOOLS:%=$(BIN)/%) ## Check that generated files are current, and format, vet, lint, tidy and chart.
	hack/verify.sh $(MODULES)

##@ Test

.PHONY: test
test: ## Run the unit, protocol and API-server tests with the race detector, and fuzz a little.
	KUBEBUILDER_ASSETS="$${KUBEBUILDER_ASSETS:-$$($(CLUSTER) assets)}" go test -race -timeout 15m ./...
	hack/fuzz.sh 500x relay/config relay/frontdoor relay/message relay/sasl relay/submission
	go -C hack/image test -race ./...
	CGO_ENABLED=0 go -C hack/cluster test ./...

.PHONY: interop
interop: $(BIN)/mailpit ## Run the relay between real mail clients and Mailpit; print which can do what.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o $(BIN)/relay ./cmd/relay
	CGO_ENABLED=0 go -C test/interop/clients/go build -trimpath -buildvcs=false -o $(CURDIR)/$(BIN)/ ./...
	hack/packages.sh $$(sed 's/#.*//' test/interop/packages.txt)
	command -v npm >/dev/null || hack/packages.sh npm
	cd test/interop/clients && npm ci --no-audit --no-fund --silent
	hack/servers.sh $(DIST)/servers < test/interop/servers.txt
	go test -tags interop -count 1 -parallel 4 -timeout 10m ./test/interop
	@cat dist/clients.txt

.PHONY: attack
attack: ## Attack the relay on both ports, and print what each attack tried and what happened.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o $(BIN)/relay ./cmd/relay
	go -C test/attack test -tags attack -count 1 -timeout 15m

.PHONY: fuzz
fuzz: ## Fuzz each parser for a minute.
	hack/fuzz.sh 60s

.PHONY: load
load: ## Hold 10,000 idle connections, 5,000 users, 1,000 slow attackers, 2.5 GB of large messages and a million small ones; print what that costs.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o $(BIN)/relay ./cmd/relay
	go test -tags load -count 1 -timeout 10m -run TestLoad -v ./relay
	KUBEBUILDER_ASSETS="$${KUBEBUILDER_ASSETS:-$$($(CLUSTER) assets)}" go test -tags load -count 1 -timeout 25m -run TestLoad -v ./controllers
	go test -tags load -count 1 -timeout 20m -v ./test/volume -relay $(CURDIR)/$(BIN)/relay -directory /var/tmp

.PHONY: bench
bench: ## Compare the relay with Postfix in one run; print a table and the ratios. Needs root.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o $(BIN)/ ./cmd/relay ./hack/bench
	echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
	hack/packages.sh postfix sasl2-bin libsasl2-modules-db
	$(BIN)/bench $(BENCH)

.PHONY: crash
crash: ## Kill the relay 500 times under load, cut the power and fail the disk at every operation; print counts.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o $(BIN)/relay ./cmd/relay
	hack/packages.sh strace
	go test -count 1 -timeout 30m -v ./test/crash -relay $(CURDIR)/$(BIN)/relay -directory /var/tmp -rounds $${ROUNDS:-500}
	go test -count 1 -timeout 10m -v -run 'PowerCut|NoFault' ./relay/spool

.PHONY: soak
soak: build ## Let the relay run for half an hour before an upstream that is not well. LASTING sets another time.
	go test -tags soak -count 1 -timeout 3h -v ./test/soak -relay $(CURDIR)/$(BIN)/relay -lasting $${LASTING:-30m}

.PHONY: e2e
e2e: $(BIN)/helm ## Run the suite on the cluster of hack/cluster.
	hack/e2e.sh

##@ Try

.PHONY: demo
demo: $(BIN)/helm ## Bring everything up and deliver a message over 465 and one over 587.
	hack/demo.sh

.PHONY: demo-down
demo-down: ## Remove what the demo and the suite brought up.
	$(CLUSTER) down

.PHONY: cluster-up
cluster-up: ## Bring the test cluster up.
	$(CLUSTER) up

.PHONY: cluster-status
cluster-status: ## Show what runs of the test cluster.
	$(CLUSTER) status

.PHONY: cluster-down
cluster-down: demo-down ## The same as demo-down.
