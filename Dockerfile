# One image for every process; docker-compose.yml names the command. `--build-arg EXTRA=gpu` for CUDA.
ARG BASE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
FROM ${BASE}
ARG EXTRA=cpu
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
RUN useradd --create-home --uid 10001 coatcheck
WORKDIR /app
COPY requirements/${EXTRA}.txt requirements/
RUN pip install --no-deps --require-hashes -r requirements/${EXTRA}.txt
COPY . .
RUN pip install --no-deps --editable . && install -d -o coatcheck /var/cache/coatcheck \
    && install -d -o coatcheck -m 700 /run/coatcheck
ENV COATCHECK_MODEL_CACHE=/var/cache/coatcheck
USER coatcheck
