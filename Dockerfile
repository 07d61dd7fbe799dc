# One image for every process of ours; the command says which (`ihwatch --help`).
# It holds no secret and no setting of a place: those come from the environment (docs/settings.md).

FROM python:3.11.15-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/ihwatch
WORKDIR /src
COPY requirements.lock ./
RUN /opt/ihwatch/bin/pip install --no-deps --require-hashes -r requirements.lock
COPY . .
RUN /opt/ihwatch/bin/pip install --no-deps --no-build-isolation . \
    && /opt/ihwatch/bin/pip uninstall --yes setuptools pip

FROM python:3.11.15-slim-bookworm
RUN groupadd --gid 10001 ihwatch \
    && useradd --uid 10001 --gid ihwatch --no-create-home --home-dir /var/lib/ihwatch ihwatch \
    && install -d -o ihwatch -g ihwatch -m 0750 /var/lib/ihwatch
COPY --from=build /opt/ihwatch /opt/ihwatch
ENV PATH=/opt/ihwatch/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    IHWATCH_DATA_DIR=/var/lib/ihwatch \
    IHWATCH_WEB_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/ihwatch
VOLUME /var/lib/ihwatch
EXPOSE 6066
# Of the worker; compose replaces it for the other commands.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:6066/healthz', timeout=4)"]
ENTRYPOINT ["ihwatch"]
CMD ["worker"]
