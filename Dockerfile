# Build:  docker build -t freeroute .
# Run:    docker run --rm -p 127.0.0.1:3000:3000 --env-file .env -e FREEROUTE_API_KEY=choose-one freeroute
#
# The image listens on every address of its container, so it starts only with a client key (FREEROUTE_API_KEY, or clients
# in a settings file mounted at /etc/freeroute/freeroute.yaml) or with FREEROUTE_OPEN=1.

FROM python:3.13-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /src

RUN python -m venv /opt/build \
    && python -m venv --without-pip /opt/freeroute

# The dependencies change less often than the code: they are a layer of their own.
COPY requirements.lock requirements-build.lock ./
RUN python -m pip --python /opt/freeroute/bin/python install --require-hashes --only-binary :all: -r requirements.lock \
    && /opt/build/bin/python -m pip install --require-hashes --only-binary :all: -r requirements-build.lock

COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY dashboard dashboard
COPY freeroute freeroute
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /dist \
    && python -m pip --python /opt/freeroute/bin/python install --no-deps --no-index /dist/*.whl


FROM python:3.13-slim-trixie

LABEL org.opencontainers.image.title="freeroute" \
      org.opencontainers.image.description="One OpenAI-compatible endpoint over free LLM tiers and local models" \
      org.opencontainers.image.licenses="MIT"

# Nothing is installed at run time, so the image needs no installer. The gateway writes to its state directory alone.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip \
    && groupadd --system --gid 10001 freeroute \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/freeroute --shell /usr/sbin/nologin freeroute \
    && install --directory --owner freeroute --group freeroute --mode 0700 /var/lib/freeroute \
    && install --directory /etc/freeroute

COPY --from=build /opt/freeroute /opt/freeroute

ENV PATH=/opt/freeroute/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FREEROUTE_SERVER__HOST=0.0.0.0 \
    FREEROUTE_SERVER__STATE_DIR=/var/lib/freeroute

# ./freeroute.yaml and ./.env are read from here, where a file may be mounted.
WORKDIR /etc/freeroute
USER 10001:10001
VOLUME ["/var/lib/freeroute"]
EXPOSE 3000

HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('PORT', '3000') + '/livez', timeout=4)"]

ENTRYPOINT ["freeroute"]
CMD ["serve"]
