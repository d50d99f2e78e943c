# The reproduction in a container, on CPUs: docs/containers.md says how to build it, run it and keep its results.
ARG PYTHON=3.13
FROM python:${PYTHON}-slim-bookworm

# Extra index where pip finds PyTorch's CPU wheels. Without it pip takes the standard wheels, with gigabytes of CUDA.
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1

# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends make \
 && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 subcritic && install --directory --owner=subcritic /subcritic
# By number, so that Kubernetes can tell that it is not root.
USER 1000
WORKDIR /subcritic

# Of the packages alone, so that a change of the code installs none of them again.
COPY --chown=subcritic requirements.lock ./
RUN python3 -m venv .venv && .venv/bin/python -m pip install --quiet --requirement requirements.lock

COPY --chown=subcritic . .
# What Snakemake keeps about outputs lies with them: without it, the next container would take those of another config for current.
RUN ln -s results/.snakemake .snakemake && make .venv/installed

VOLUME /subcritic/results
# A folder of the host, or a volume of before, has no such folder yet.
ENTRYPOINT ["sh", "-c", "mkdir -p results/.snakemake && exec \"$@\"", "sh"]
CMD ["make", "reproduce"]
