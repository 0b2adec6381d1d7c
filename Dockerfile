# One image for all services and the gateway; the command decides: `python -m services.booking serve`, `python -m gateway`.
# Holds what requirements.lock names, the generated contracts and our code: no tools, no tests, nothing of `embedded/`.
FROM python:3.11-slim-bookworm AS python
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

# The generators are development tools, so they stay in a stage of their own.
FROM python AS contracts
WORKDIR /app
COPY requirements-dev.lock ./
RUN pip install --require-hashes --requirement requirements-dev.lock
COPY protos protos
RUN python protos/generate.py

FROM python AS packages
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --requirement requirements.lock

# Compiled here, since the finished image is never written to; by hash, since COPY does not keep times for sure.
FROM python AS code
WORKDIR /app
COPY --from=contracts /app/gen gen
COPY services services
COPY gateway gateway
RUN python -m compileall -q --invalidation-mode unchecked-hash gen services gateway

FROM python
RUN groupadd --gid 10001 powerhouse \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin powerhouse
COPY --from=packages /opt/venv /opt/venv
COPY --from=code /app /app
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app:/app/gen
WORKDIR /app
USER 10001:10001
