# One image per service: `docker build --target gateway .`; docker-compose.yml names all targets.
#
# base → plan (what to build) → build (all programs, once) → runtime → one small stage per program.
# A change of our code leaves every layer up to the compiled dependencies as it is.

# The compiler on the same Debian as the runtime below, so that both have one C library.
FROM rust:1.95-slim-bookworm AS base
# librdkafka is built from its source, and its configure script asks for a C++ compiler too.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
RUN cargo install cargo-chef --locked --version 0.1.78
WORKDIR /kassa

# Every member of the workspace: cargo reads all manifests, whatever it builds.
FROM scratch AS source
COPY Cargo.toml Cargo.lock /
COPY schemas /schemas
COPY processors /processors
COPY api /api
COPY gateway /gateway
COPY kassa /kassa

# The manifests alone, as one file: it is the same until a dependency changes.
FROM base AS plan
COPY --from=source / .
RUN cargo chef prepare --recipe-path recipe.json

FROM base AS build
# Both steps must name the same packages: they decide the dependencies' features.
ENV PACKAGES="--package gateway --package orders-api --package payments-api \
--package orders --package payments --package schemas"
COPY --from=plan /kassa/recipe.json .
RUN cargo chef cook --release --locked $PACKAGES --recipe-path recipe.json
COPY --from=source / .
RUN cargo build --release --locked $PACKAGES --bins

# libz is all that a processor links beside the C library. The registry's client refuses to start without
# certificates, even where it speaks plain HTTP.
FROM debian:12-slim AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates zlib1g \
    && rm -rf /var/lib/apt/lists/*
# Nobody, who owns no file here; by number, so that an orchestrator sees that it is not root.
USER 65534:65534
WORKDIR /

FROM runtime AS gateway
COPY --from=build /kassa/target/release/gateway /usr/local/bin/
EXPOSE 8080
ENTRYPOINT ["gateway"]

FROM runtime AS orders-api
COPY --from=build /kassa/target/release/orders-api /usr/local/bin/
EXPOSE 8081
ENTRYPOINT ["orders-api"]

FROM runtime AS payments-api
COPY --from=build /kassa/target/release/payments-api /usr/local/bin/
EXPOSE 8082
ENTRYPOINT ["payments-api"]

FROM runtime AS orders-processor
COPY --from=build /kassa/target/release/orders-processor /usr/local/bin/
EXPOSE 8091
ENTRYPOINT ["orders-processor"]

FROM runtime AS payments-processor
COPY --from=build /kassa/target/release/payments-processor /usr/local/bin/
EXPOSE 8092
ENTRYPOINT ["payments-processor"]

# A command, not a service: `schemas register`.
FROM runtime AS schemas
COPY --from=build /kassa/target/release/schemas /usr/local/bin/
ENTRYPOINT ["schemas"]
