# The images of both containers. `make image` builds them; with binaries that exist already, the
# targets core-prebuilt and sidecar-prebuilt only copy them:
#
#   docker build --target core .
#   docker build --target core-prebuilt -f Dockerfile a-directory-with-metastore-core
#
# Both run without a shell, as 65532, on a read-only root; they write to the data volume and to the
# directory of the admin socket, which the chart provides.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
# Has what the programs are linked to and nothing else: glibc, libstdc++, libgcc.
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS builder
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libclang-dev \
 && rm -rf /var/lib/apt/lists/*
ENV METASTORE_CACHE=/cache CARGO_TARGET_DIR=/cache/target
WORKDIR /src

# Dependencies: a layer that only manifests and the lock file change. The sources are stubs, and what
# was made of them is removed. RocksDB, the longest part, outlives even a new lock file in a mount.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY .ci/env .ci/need .ci/rocksdb .ci/
COPY core/Cargo.toml core/
COPY proto/Cargo.toml proto/
COPY sidecar/Cargo.toml sidecar/
COPY tests/Cargo.toml tests/
RUN --mount=type=cache,id=metastore-rocksdb,target=/cache/rocksdb \
    mkdir -p core/src proto/src sidecar/src tests/src tests/bench/load \
 && touch core/src/lib.rs proto/src/lib.rs sidecar/src/lib.rs tests/src/lib.rs \
 && for main in proto/build.rs core/src/main.rs sidecar/src/main.rs tests/bench/load/main.rs; do \
      echo 'fn main() {}' >"$main"; \
    done \
 && bash -euc '. .ci/env; cargo build --release --locked --bin metastore-core --bin metastore-sidecar' \
 && cargo clean --release -p metastore-core -p metastore-proto -p metastore-sidecar

COPY proto proto
COPY core core
COPY sidecar sidecar
# Function names stay for backtraces; the rest of the debugging information is most of the size.
RUN --mount=type=cache,id=metastore-rocksdb,target=/cache/rocksdb \
    bash -euc '. .ci/env; cargo build --release --locked --bin metastore-core --bin metastore-sidecar' \
 && mkdir /out \
 && for program in metastore-core metastore-sidecar; do \
      strip --strip-debug -o "/out/$program" "$CARGO_TARGET_DIR/release/$program"; \
    done

FROM ${BASE_IMAGE} AS runtime
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.vendor="metastore" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
USER 65532:65532
STOPSIGNAL SIGTERM

FROM runtime AS core-image
LABEL org.opencontainers.image.title="metastore-core" \
      org.opencontainers.image.description="A durable store that speaks etcd's v3 API"
EXPOSE 2379
ENTRYPOINT ["/usr/local/bin/metastore-core"]

FROM runtime AS sidecar-image
LABEL org.opencontainers.image.title="metastore-sidecar" \
      org.opencontainers.image.description="Probes, metrics, disk guard and compaction beside a metastore core"
EXPOSE 2381
ENTRYPOINT ["/usr/local/bin/metastore-sidecar"]

FROM core-image AS core-prebuilt
COPY --chmod=755 metastore-core /usr/local/bin/metastore-core

FROM sidecar-image AS sidecar-prebuilt
COPY --chmod=755 metastore-sidecar /usr/local/bin/metastore-sidecar

FROM sidecar-image AS sidecar
COPY --from=builder /out/metastore-sidecar /usr/local/bin/metastore-sidecar

FROM core-image AS core
COPY --from=builder /out/metastore-core /usr/local/bin/metastore-core
