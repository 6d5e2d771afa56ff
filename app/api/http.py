"""The ASGI application: routes, health, metrics, the shop page."""

import asyncio
import logging
from asyncio import to_thread
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware import Middleware

from app.api.asked import AskedMost
from app.api.gate import Gate
from app.api.heap import Heap
from app.api.openapi import add_openapi
from app.api.problems import RefusedError, add_handlers
from app.api.routes import Behind, recommend, router
from app.api.service import Service

#: Between two looks at the registry, at the log, and between two points of InfluxDB.
CHAMPION_SECONDS, TIDY_SECONDS, POINTS_SECONDS = 1.0, 10.0, 10.0
WRITE_SECONDS, COUNT_SECONDS = 1.0, 5.0  #: between two writes of answered lists, and two counts of what they led to
FORGET_SECONDS = 1.0  #: between two looks at whom InfluxDB has to forget
LOG = logging.getLogger("vitrine")
PAGE = Path(__file__).parent / "page"
#: The page loads nothing from elsewhere, and no other page may hold it.
POLICY = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "Cache-Control": "no-cache"}

#: Routes ask for the service and don't close over it: FastAPI remembers routes' functions for good.
health = APIRouter(tags=["health"])
pages = APIRouter(include_in_schema=False)


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
        docs_url=None,  # FastAPI's own loads its scripts from elsewhere
        redoc_url=None,
        middleware=[
            Middleware(
                Gate,
                settings=service.settings,
                metrics=service.metrics,
                routes=router.routes,
                stopping=lambda: not service.ready,
            ),
            Middleware(AskedMost, route=_asked_most(), service=service),
        ],
        telemetry={"tracing": False, "metrics": False, "logs": False},  # else each request looks for its settings
    )
    app.state.service = service
    add_handlers(app)
    app.include_router(router)
    app.include_router(health)
    add_openapi(app)

    app.include_router(pages)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def _asked_most() -> APIRoute:
    (route,) = [one for one in router.routes if isinstance(one, APIRoute) and one.endpoint is recommend]
    return route


@health.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@health.get("/health/ready")
async def ready(behind: Behind) -> Response:
    """Lists can be asked for: a bundle is open, and the server isn't stopping."""
    if not behind.ready:
        raise RefusedError(503, "stopping")
    return JSONResponse({"status": "ready", "model_version": behind.shop.bundle.version})


@health.get("/metrics", include_in_schema=False)
async def metrics(behind: Behind) -> Response:
    return PlainTextResponse(generate_latest(behind.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@pages.get("/")
async def page() -> Response:
    return FileResponse(PAGE / "index.html", headers=POLICY)


@pages.get("/docs")
def docs(request: Request) -> Response:
    from app.api.reference import reference  # loads jinja2

    state = request.app.state
    if not hasattr(state, "reference"):  # made once: anybody may ask for it, as often as they like
        state.reference = reference(request.app.openapi())
    return HTMLResponse(state.reference, headers=POLICY)


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    heap = Heap(service.shop)

    def follow() -> None:
        service.follow_champion()
        heap.look(service.shop)

    work = [
        # whatever is said, the bundle in use goes on serving, and the next time may do
        _every(CHAMPION_SECONDS, partial(to_thread, follow), "the registry cannot be read"),
        _every(TIDY_SECONDS, service.tidy, "the log of posted events cannot be tidied"),
        _every(WRITE_SECONDS, partial(to_thread, service.attribution.write)),
        _every(COUNT_SECONDS, service.attribution.count),
    ]
    if service.settings.influx_url is not None:
        work.append(_points(service))
        work.append(_every(FORGET_SECONDS, partial(to_thread, service.forgotten_points.work)))
    tasks = [asyncio.create_task(one) for one in work]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    service.close()


async def _every(seconds: float, work: Callable[[], Awaitable[None]], failing: str | None = None) -> None:
    """Do something again and again; `failing` says what it means that it fails, without which that is a bug."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception as error:
            if failing is None:
                LOG.error("unexpected %s", type(error).__name__, exc_info=error)
            else:
                LOG.error("%s: %s", failing, error)


async def _points(service: Service) -> None:
    from app.api.points import ApiPoints  # with InfluxDB's client, which lists do without
    from app.monitor.influx import influx_config

    config = influx_config(service.settings)
    assert config is not None
    points = ApiPoints(config, service.metrics, LOG.warning)
    try:
        await _every(POINTS_SECONDS, partial(to_thread, points.write))
    finally:
        await to_thread(points.write)  # what was answered since, as the server stops
