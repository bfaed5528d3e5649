# Two images from one build: the connector's three programs, and the sandbox that stands in for both services in the demo.
FROM rust:1.95.0-trixie AS build
WORKDIR /source
COPY . .
# Registry and target folder outlive a build, so that a change costs the project's own crates and no others. All checkouts on
# a machine share them, and cargo compares times: without `touch`, it takes another checkout's newer result for this one's.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --locked -p connector -p sandbox \
    && mkdir -p /out/connector /out/sandbox /out/lib /out/spool \
    && mkdir -m 700 /out/lib/connector /out/spool/connector \
    && cp target/release/connector /out/connector/ \
    && ln -s connector /out/connector/producer \
    && ln -s connector /out/connector/worker \
    && cp target/release/sandbox /out/sandbox/

# No shell, no package manager; the programs check their own health.
FROM gcr.io/distroless/cc-debian13:nonroot AS sandbox
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bynder-imatag-sandbox" \
      org.opencontainers.image.description="Stands in for a Bynder portal and for Imatag" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/sandbox/ /usr/local/bin/
USER 65532:65532
EXPOSE 8080
# The one signal it listens to.
STOPSIGNAL SIGINT
ENTRYPOINT ["sandbox"]
CMD ["--listen", "0.0.0.0:8080"]

FROM gcr.io/distroless/cc-debian13:nonroot AS connector
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bynder-imatag-connector" \
      org.opencontainers.image.description="Keeps a Bynder library protected with invisible Imatag watermarks" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/connector/ /usr/local/bin/
# A new volume takes over owner and mode of the folder it is mounted on. COPY keeps the mode of
# what is in its source, and not that of the source itself.
COPY --from=build --chown=65532:65532 /out/lib/ /var/lib/
COPY --from=build --chown=65532:65532 /out/spool/ /var/spool/
WORKDIR /etc/connector
USER 65532:65532
EXPOSE 9090
STOPSIGNAL SIGTERM
CMD ["connector", "--help"]
