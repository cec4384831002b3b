# `dqh serve` without torch: images are encoded by ONNX Runtime, so the artifact needs encoder.onnx, which
# `dqh export ARTIFACT --to onnx` writes. How to run it: compose.yaml, and docs/operating.md.
#
#     docker build --tag dqh .
#
# What is installed is what fits today; to get the same again keep a uv.lock beside this file (uv lock).

FROM ghcr.io/astral-sh/uv:0.13.9 AS uv

FROM python:3.12-bookworm AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never DQH_NATIVE=require
WORKDIR /build
COPY pyproject.toml hatch_build.py README.md LICENSE uv.lock* ./
RUN uv venv /opt/dqh \
    && uv export --quiet --no-dev --no-emit-project --extra serve --extra onnx --extra related \
        --prune torch --prune torchvision --prune pytorch-lightning --prune onnx --prune onnxscript \
        --output-file requirements.txt \
    && uv pip install --python /opt/dqh --require-hashes --requirements requirements.txt
COPY native native
COPY dqh dqh
RUN uv pip install --python /opt/dqh --no-deps .

FROM python:3.12-slim-bookworm
# of lightgbm; which build of it the distribution has matters to nobody
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin dqh
COPY --from=build /opt/dqh /opt/dqh
ENV PATH=/opt/dqh/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
ENTRYPOINT ["dqh"]
CMD ["serve", "/srv/dqh/photos.index", "--host", "0.0.0.0", "--token-file", "/run/secrets/dqh_token"]
