# spamd from Debian: the same packages that `make setup` installs and that the tests run.
#
#   docker build -f deploy/docker/spamd.Dockerfile -t qscan-spamd:0.1.0 .
#
# To pin the base for good: --build-arg DEBIAN_IMAGE=debian:bookworm-slim@sha256:…
ARG DEBIAN_IMAGE=debian:bookworm-slim
FROM ${DEBIAN_IMAGE}
# busybox-syslogd is what spamd's dependency on a log daemon costs least with (never started; spamd logs to standard
# error), otherwise it is systemd. Without libmail-spf-perl SPF would not be looked at.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        busybox-syslogd libmail-spf-perl spamassassin spamc spamd \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 qscan \
    && useradd --uid 10001 --gid qscan --home-dir /var/lib/spamd --no-create-home --shell /usr/sbin/nologin qscan \
    && install -d -o qscan -g qscan -m 0700 /var/lib/spamd
ENV HOME=/var/lib/spamd
USER 10001:10001
EXPOSE 1783
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s --retries=3 \
    CMD ["spamc", "-K", "-d", "127.0.0.1", "-p", "1783", "-t", "5"]
# qscan_spam.spamd_command has the arguments and their reasons; tests/deploy checks that these are the same. Whoever
# reaches the port may use it, so it belongs into a network of its own.
ENTRYPOINT ["/usr/sbin/spamd"]
CMD ["--nouser-config", \
    "--syslog=stderr", \
    "--max-children=10", \
    "--min-children=1", \
    "--timeout-child=30", \
    "--helper-home-dir=/var/lib/spamd", \
    "--cf=bayes_path /var/lib/spamd/bayes", \
    "--listen=0.0.0.0:1783", \
    "--allowed-ips=0.0.0.0/0,::/0"]
