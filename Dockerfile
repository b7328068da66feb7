# alcli for pools under /data:   docker build -t alcli .   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" alcli query pool.parquet -n 10
# EXTRAS installs what embed needs beside, such as onnx or text,image:   docker build --build-arg EXTRAS=onnx -t alcli .
# text, image and torch bring PyTorch, whose default build is made for GPUs; PIP_EXTRA_INDEX_URL can name an index with a build for processors alone.
FROM python:3.11-slim AS build
ARG EXTRAS=""
ARG PIP_EXTRA_INDEX_URL=""
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY alcli alcli
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
RUN python -m venv /opt/alcli \
 && /opt/alcli/bin/pip install --no-cache-dir --constraint requirements.lock "$(echo /wheels/*.whl)${EXTRAS:+[$EXTRAS]}"

FROM python:3.11-slim
COPY --from=build /opt/alcli /opt/alcli
# What libraries keep for themselves goes to a folder that any user may write, since --user names users that this image does not know.
ENV PATH=/opt/alcli/bin:$PATH HOME=/tmp
WORKDIR /data
USER 1000:1000
ENTRYPOINT ["alcli"]
