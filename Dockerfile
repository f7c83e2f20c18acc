# One image with all commands. `make images` fills the context of this build (build/image/ARCH: wheels and two modules) and
# gives the arguments; docs/release.md describes it.
#
# BASE has Python as python3, in the version for which the wheels were chosen. The default is for builders with Docker Hub;
# `make images` makes a smaller one from Debian's packages where it can.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG BUILD_BASE=${BASE}
# Of the first stage, whose program runs here, and of the image.
ARG BUILD_PLATFORM=linux/amd64
ARG IMAGE_PLATFORM=linux/amd64

# No shell is needed in the base, and no network: pip comes as a wheel.
FROM --platform=${BUILD_PLATFORM} ${BUILD_BASE} AS tree
ARG MACHINE=x86_64
COPY . /build/
WORKDIR /build
RUN ["python3", "-m", "hack.image.assemble", "wheels", "/opt/work-flow"]

FROM --platform=${IMAGE_PLATFORM} ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="work-flow" \
      org.opencontainers.image.description="A Kubernetes workflow controller: DAGs of whole jobs of any kind" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=tree /opt/work-flow /opt/work-flow
ENV PATH=/opt/work-flow/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1
# The user that distroless images call nonroot.
USER 65532:65532
WORKDIR /
CMD ["workflow-controller"]
