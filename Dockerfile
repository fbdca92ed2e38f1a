# The command moco-transfer on CPU cores. docs/command.md says how it is built and called.
FROM python:3.11-slim-bookworm

# What OpenCV links and a slim system lacks.
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*

# Another index of packages, such as that of torch's wheels without CUDA, which are five gigabytes smaller.
ARG PIP_EXTRA_INDEX_URL=""

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir . && rm -rf /src

# Data, checkpoints and results are mounted here; weights that are fetched stay in it, too.
WORKDIR /runs
ENV MOCO_TRANSFER_CACHE=/runs/.cache/moco-transfer
ENTRYPOINT ["moco-transfer"]
CMD ["--help"]
