# For those who build with an engine; hack/image makes the same images without.
#   docker build --target relay -t mailrelay/relay:dev .
#   docker build --target manager -t mailrelay/manager:dev .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ENV CGO_ENABLED=0
RUN go build -trimpath -ldflags="-s -w" -o /out/ ./cmd/manager ./cmd/relay

# No CA files: the roots are compiled into the binaries.
FROM scratch AS relay
COPY --from=build /out/relay /relay
USER 65532:65532
ENTRYPOINT ["/relay"]

FROM scratch AS manager
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
