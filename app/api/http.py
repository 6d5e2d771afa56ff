"""The ASGI application: routes, health, metrics, the shop page."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware import Middleware

from app.api.gate import Gate
from app.api.openapi import add_openapi
from app.api.problems import RefusedError, add_handlers
from app.api.routes import router
from app.api.service import Service

#: Between two looks at the registry, at the log, and between two points of InfluxDB.
CHAMPION_SECONDS, TIDY_SECONDS, POINTS_SECONDS = 1.0, 10.0, 10.0
WRITE_SECONDS, COUNT_SECONDS = 1.0, 5.0  #: between two writes of answered lists, and two counts of what they led to
PAGE = Path(__file__).parent / "page"
#: The page loads nothing from elsewhere, and no other page may hold it.
POLICY = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "Cache-Control": "no-cache"}


def application(service: Service, version: str) -> FastAPI:
    """The application in front of a service.

    Parameters
    ----------
    service
        What answers.
    version
        Of the program.
    """
    app = FastAPI(
        title="Vitrine",
        version=version,
        lifespan=_life,
        redoc_url=None,
        middleware=[Middleware(Gate, settings=service.settings, metrics=service.metrics)],
    )
    app.state.service = service
    add_handlers(app)
    app.include_router(router)
    _add_health(app, service)
    add_openapi(app)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(PAGE / "index.html", headers=POLICY)

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/health/live", tags=["health"])
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @app.get("/health/ready", tags=["health"])
    async def ready() -> Response:
        """Lists can be asked for: a bundle is open, and the server isn't stopping."""
        if not service.ready:
            raise RefusedError(503, "stopping")
        return JSONResponse({"status": "ready", "model_version": service.shop.bundle.version})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return PlainTextResponse(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    attribution = service.attribution
    tasks = [
        asyncio.create_task(work)
        for work in (
            _champion(service),
            _tidy(service),
            _every(WRITE_SECONDS, attribution.write),
            _every(COUNT_SECONDS, attribution.count),
        )
    ]
    if service.settings.influx_url is not None:
        tasks.append(asyncio.create_task(_points(service)))
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    service.close()


async def _champion(service: Service) -> None:
    while True:
        await asyncio.sleep(CHAMPION_SECONDS)
        try:
            await asyncio.to_thread(service.follow_champion)
        except Exception as error:  # the bundle in use goes on serving
            logging.getLogger("vitrine").error("the registry cannot be read: %s", error)


async def _every(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(work)
        except Exception as error:  # a bug; the next time may do
            logging.getLogger("vitrine").error("unexpected %s", type(error).__name__, exc_info=error)


async def _tidy(service: Service) -> None:
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        try:
            await service.tidy()
        except Exception as error:  # said again next time; requests say so themselves
            logging.getLogger("vitrine").error("the log of posted events cannot be tidied: %s", error)


async def _points(service: Service) -> None:
    from app.api.points import ApiPoints  # with InfluxDB's client, which lists do without
    from app.monitor.influx import influx_config

    config = influx_config(service.settings)
    assert config is not None
    points = ApiPoints(config, service.metrics, logging.getLogger("vitrine").warning)
    try:
        await _every(POINTS_SECONDS, points.write)
    finally:
        await asyncio.to_thread(points.write)  # what was answered since, as the server stops
