# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked -p connector -p producer -p worker \
    && mkdir -p /out/bin /out/state /out/spool \
    && cp target/release/connector target/release/producer target/release/worker /out/bin/

# No shell, no package manager; the programs check their own health.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="bynder-imatag-connector" \
      org.opencontainers.image.description="Keeps a Bynder library protected with invisible Imatag watermarks" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/bin/ /usr/local/bin/
# A new volume takes over the owner of the folder it is mounted on.
COPY --from=build --chown=nonroot:nonroot /out/state /var/lib/connector
COPY --from=build --chown=nonroot:nonroot /out/spool /var/spool/connector
WORKDIR /etc/connector
USER nonroot
CMD ["connector", "--help"]
