# One image for each architecture, from one file: compiled on the platform that builds, for the platform that is asked for.
# Plain `docker build .` does; docs/image.md names the arguments, and `cargo xtask image build` sets them.

# Has rustc for this machine; ci/toolchain.sh brings what it lacks to compile for another.
ARG RUST_IMAGE=public.ecr.aws/docker/library/rust:1.95.0-slim-bookworm

FROM --platform=${BUILDPLATFORM} ${RUST_IMAGE} AS toolchain
ARG TARGETARCH
WORKDIR /bifora
COPY ci/toolchain.sh ci/
RUN ci/toolchain.sh "${TARGETARCH}"

# The sources of the dependencies, once for all architectures.
FROM --platform=${BUILDPLATFORM} ${RUST_IMAGE} AS crates
ENV CARGO_HOME=/cargo
WORKDIR /bifora
COPY Cargo.toml Cargo.lock ./
COPY benches/baseline/Cargo.toml benches/baseline/
COPY image/Cargo.toml image/
COPY xtask/Cargo.toml xtask/
# In place of our own sources, programs that do nothing.
RUN mkdir -p src benches/baseline/src image/src xtask/src && \
    touch src/lib.rs image/src/lib.rs && \
    for program in build.rs src/main.rs benches/baseline/src/main.rs xtask/src/main.rs; do \
      echo 'fn main() {}' > "${program}" || exit; \
    done && \
    for attempt in 1 2 3; do \
      cargo fetch --locked --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu && exit; \
      echo "attempt ${attempt} of 3 failed" && sleep 5; \
    done && \
    exit 1

# A layer with the compiled dependencies, which lasts as long as they and the compiler's flags do.
FROM toolchain AS binary
ENV CARGO_HOME=/cargo CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0 CARGO_TERM_QUIET=true
COPY --from=crates /cargo /cargo
COPY --from=crates /bifora ./
COPY ci/compile.sh ci/
RUN ci/compile.sh "${TARGETARCH}"
COPY build.rs ./
COPY static static
COPY templates templates
COPY image/src image/src
COPY src src
# Facts of the commit, which the binary tells: there is no git here to ask.
ARG SOURCE_DATE_EPOCH VERGEN_GIT_SHA VERGEN_GIT_BRANCH VERGEN_GIT_COMMIT_TIMESTAMP VERGEN_GIT_DIRTY
# Newer than the programs that do nothing, or cargo would take these for our own.
RUN touch build.rs image/src/lib.rs src/lib.rs src/main.rs && \
    ci/compile.sh "${TARGETARCH}" && \
    mv target/dist/cargo/*-unknown-linux-gnu/release/bifora /bifora/bifora && \
    touch --date="@${SOURCE_DATE_EPOCH:-0}" /bifora/bifora

FROM scratch
COPY --from=binary /bifora/bifora /bifora
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/bifora", "healthcheck"]
ENTRYPOINT ["/bifora"]

# From here on facts of the run that builds the image. They change with every run, and so they come last.
ARG VERSION VERGEN_GIT_SHA VERGEN_GIT_COMMIT_TIMESTAMP SOURCE_URL
LABEL org.opencontainers.image.title="Bifora" \
      org.opencontainers.image.description="Says which architecture answered, and which build it is" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="${SOURCE_URL}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${VERGEN_GIT_SHA}" \
      org.opencontainers.image.created="${VERGEN_GIT_COMMIT_TIMESTAMP}"
# What the build-info page tells of the run; what is not set stays empty, which counts as not set.
ARG CIRCLE_BUILD_URL CIRCLE_SHA1 CIRCLE_USERNAME CIRCLE_BUILD_NUM CIRCLE_WORKFLOW_ID CIRCLE_PIPELINE_ID \
    CIRCLE_PIPELINE_NUMBER CIRCLE_BRANCH CIRCLE_TAG CIRCLE_PULL_REQUEST CIRCLE_PROJECT_USERNAME \
    CIRCLE_PROJECT_REPONAME CIRCLE_PROJECT_SLUG CIRCLE_TRIGGER_TYPE CIRCLE_COMMIT_URL
ARG CODEBUILD_BUILD_ID CODEBUILD_BUILD_ARN CODEBUILD_BUILD_NUMBER CODEBUILD_INITIATOR \
    CODEBUILD_RESOLVED_SOURCE_VERSION CODEBUILD_SOURCE_REPO_URL CODEBUILD_LOG_PATH
ARG CODEPIPELINE_EXECUTION_ID CODEPIPELINE_COMMIT_ID CODEPIPELINE_BRANCH_NAME \
    CODEPIPELINE_FULL_REPOSITORY_NAME CODEPIPELINE_COMMIT_MESSAGE
ARG BIFORA_IMAGE
# None of them is a secret; the names alone look like it.
# hadolint ignore=DL3064
ENV VERSION="${VERSION}" \
    CIRCLE_BUILD_URL="${CIRCLE_BUILD_URL}" \
    CIRCLE_SHA1="${CIRCLE_SHA1}" \
    CIRCLE_USERNAME="${CIRCLE_USERNAME}" \
    CIRCLE_BUILD_NUM="${CIRCLE_BUILD_NUM}" \
    CIRCLE_WORKFLOW_ID="${CIRCLE_WORKFLOW_ID}" \
    CIRCLE_PIPELINE_ID="${CIRCLE_PIPELINE_ID}" \
    CIRCLE_PIPELINE_NUMBER="${CIRCLE_PIPELINE_NUMBER}" \
    CIRCLE_BRANCH="${CIRCLE_BRANCH}" \
    CIRCLE_TAG="${CIRCLE_TAG}" \
    CIRCLE_PULL_REQUEST="${CIRCLE_PULL_REQUEST}" \
    CIRCLE_PROJECT_USERNAME="${CIRCLE_PROJECT_USERNAME}" \
    CIRCLE_PROJECT_REPONAME="${CIRCLE_PROJECT_REPONAME}" \
    CIRCLE_PROJECT_SLUG="${CIRCLE_PROJECT_SLUG}" \
    CIRCLE_TRIGGER_TYPE="${CIRCLE_TRIGGER_TYPE}" \
    CIRCLE_COMMIT_URL="${CIRCLE_COMMIT_URL}" \
    CODEBUILD_BUILD_ID="${CODEBUILD_BUILD_ID}" \
    CODEBUILD_BUILD_ARN="${CODEBUILD_BUILD_ARN}" \
    CODEBUILD_BUILD_NUMBER="${CODEBUILD_BUILD_NUMBER}" \
    CODEBUILD_INITIATOR="${CODEBUILD_INITIATOR}" \
    CODEBUILD_RESOLVED_SOURCE_VERSION="${CODEBUILD_RESOLVED_SOURCE_VERSION}" \
    CODEBUILD_SOURCE_REPO_URL="${CODEBUILD_SOURCE_REPO_URL}" \
    CODEBUILD_LOG_PATH="${CODEBUILD_LOG_PATH}" \
    CODEPIPELINE_EXECUTION_ID="${CODEPIPELINE_EXECUTION_ID}" \
    CODEPIPELINE_COMMIT_ID="${CODEPIPELINE_COMMIT_ID}" \
    CODEPIPELINE_BRANCH_NAME="${CODEPIPELINE_BRANCH_NAME}" \
    CODEPIPELINE_FULL_REPOSITORY_NAME="${CODEPIPELINE_FULL_REPOSITORY_NAME}" \
    CODEPIPELINE_COMMIT_MESSAGE="${CODEPIPELINE_COMMIT_MESSAGE}" \
    BIFORA_IMAGE="${BIFORA_IMAGE}"
