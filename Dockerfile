FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/base.txt requirements/base.txt
RUN python -m venv /opt/it0 && /opt/it0/bin/pip install --no-cache-dir --require-hashes -r requirements/base.txt
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY agent agent
COPY bot bot
COPY channels channels
COPY scheduler scheduler
COPY skills skills
COPY voice voice
RUN /opt/it0/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --home-dir /var/lib/it0 it0
COPY --from=build /opt/it0 /opt/it0
ENV PATH=/opt/it0/bin:$PATH \
    IT0_HOME=/var/lib/it0/home \
    IT0_HTTP_HOST=0.0.0.0 \
    IT0_LOCAL_SERVER=false \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /var/lib/it0
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["it0"]
CMD ["bot"]
