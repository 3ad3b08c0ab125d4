# The image of av-gateway. From the root of the repository:
#
#   docker build -f deploy/docker/av-gateway.Dockerfile -t qscan-av-gateway:0.1.0 .
#
# All services are built alike: their files differ in the service's name and in the Debian packages that it needs, which
# tests/deploy checks.
# To pin the base for good: --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
# A package index of your own: --secret id=pip,src=/etc/pip.conf
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# ------------------------------------------------------------------------------------------------ build
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Everything third-party is downloaded here and verified by its hash; a change of our code leaves this layer alone.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --only-binary :all: --require-hashes -r requirements/build.txt \
    && pip download --only-binary :all: --require-hashes -r requirements/runtime.txt --dest /wheels

# Our members are built without an index. What is installed is what the service asks for and nothing else, out of
# the verified files.
COPY libs/contracts libs/contracts
COPY libs/kit libs/kit
COPY services/av-gateway services/av-gateway
RUN pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels \
        ./libs/contracts ./libs/kit ./services/av-gateway \
    && python -m venv --without-pip /opt/qscan \
    && pip --python /opt/qscan/bin/python install --no-index --find-links /wheels qscan-av-gateway \
    && pip --python /opt/qscan/bin/python check

# ------------------------------------------------------------------------------------------------- run
FROM ${PYTHON_IMAGE}

# The base brings pip; what runs here installs nothing. There is no compiler in it.
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip /usr/local/bin/pip* \
        /usr/local/bin/wheel \
    && groupadd --gid 10001 qscan \
    && useradd --uid 10001 --gid qscan --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin qscan \
    && install -d -o qscan -g qscan -m 0700 /var/spool/qscan /var/lib/qscan

COPY --from=build /opt/qscan /opt/qscan

# Health is asked from outside the container too (kubelet, Prometheus), so not on loopback only.
ENV PATH=/opt/qscan/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    QSCAN_AV_GATEWAY_HEALTH_HOST=0.0.0.0 \
    QSCAN_AV_GATEWAY_HEALTH_PORT=8081
USER 10001:10001
EXPOSE 8081
# Alive, not ready: whoever restarts on this must not do so because a peer is away.
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/opt/qscan/bin/python", "-I", "-S", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8081, timeout=5); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["/opt/qscan/bin/qscan-av-gateway"]
