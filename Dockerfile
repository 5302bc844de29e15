# syntax=docker/dockerfile:1

# By digest, for all architectures: a tag may name something else tomorrow. `docker buildx imagetools inspect
# python:3.13-slim` tells what it names today; renew both halves together, at least for each security release.
ARG PYTHON=python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

# The wheels of everything in the lock, each checked against its hash, and from them what the bot itself needs.
FROM ${PYTHON} AS build
WORKDIR /src
COPY requirements.lock ./
RUN pip download --no-cache-dir --no-deps --require-hashes --requirement requirements.lock --dest /wheels
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY cogs cogs
COPY providers providers
RUN python -m venv /opt/stillmotion \
    && /opt/stillmotion/bin/pip install --no-cache-dir --no-index --find-links /wheels --upgrade setuptools \
    && /opt/stillmotion/bin/pip install --no-cache-dir --no-index --find-links /wheels \
        --no-build-isolation '.[postgres]' \
    && /opt/stillmotion/bin/pip uninstall --yes setuptools pip

FROM ${PYTHON}
RUN useradd --system --uid 10001 --home-dir /data stillmotion \
    && install --directory --owner stillmotion --group stillmotion /data
COPY --from=build /opt/stillmotion /opt/stillmotion
ENV PATH=/opt/stillmotion/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data
USER stillmotion
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["stillmotion", "health"]
ENTRYPOINT ["stillmotion"]
CMD ["run"]
