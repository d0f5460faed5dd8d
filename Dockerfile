# The sett binary and nothing else, as a user without rights. Alone it serves a
# broker of its own, which listens on the container's loopback only: join another
# one with SETT_NATS_URL (docker-compose.yml does), or configure authentication
# with SETT_NATS_CONFIG. `docker run --read-only` is enough for it.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) \
#     --build-arg COMMIT=$(git rev-parse HEAD) \
#     --build-arg COMMIT_TIME=$(git show -s --format=%cI) --tag sett .
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=container
ARG COMMIT=
ARG COMMIT_TIME=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.commitTime=${COMMIT_TIME}" -o /out/sett ./cmd/sett
RUN mkdir -m 0700 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/sett /usr/local/bin/sett
COPY --from=build --chown=65532:65532 /out/data /data
ENV PATH=/usr/local/bin SETT_DATA_DIR=/data
USER 65532:65532
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["sett", "status", "--quiet"]
ENTRYPOINT ["sett"]
CMD ["serve"]
