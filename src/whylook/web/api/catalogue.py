"""What there is: models and their classes, methods, metrics, samples."""

from __future__ import annotations

import io
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from whylook.web.api.shapes import ERRORS, FULL, GONE, Label, ModelAnswer, Sample
from whylook.web.house import TheHouse

router = APIRouter(prefix="/api", tags=["catalogue"], responses=ERRORS)


@router.get("/models", response_model=list[ModelAnswer], summary="The models that may be named")
def models(house: TheHouse) -> list[dict[str, Any]]:
    """Reference models, embedded networks, and what was configured; those without weights say how to get them."""
    return house.catalogue.listing()


@router.get(
    "/models/{name}/labels", response_model=list[Label], responses=GONE | FULL, summary="Search a model's classes"
)
async def labels(
    house: TheHouse,
    name: Annotated[str, Path(examples=["phantom:resnet"])],
    q: Annotated[str, Query(max_length=100, description="Part of a class's name, or its index.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> list[dict[str, Any]]:
    """Classes whose name holds `q`; those that begin with it come first."""
    known = await house.labels(name)
    wanted = q.strip().lower()
    ranked = sorted(
        (0 if label.lower().startswith(wanted) or str(i) == wanted else 1, i, label)
        for i, label in enumerate(known)
        if wanted in label.lower() or str(i) == wanted
    )
    return [{"index": i, "label": label} for _, i, label in ranked[:limit]]


@router.get("/methods", summary="The attribution methods")
def methods() -> list[dict[str, Any]]:
    """All that is known of each method; `chosen` ones belong to the default choice."""
    from whylook.catalog import facts
    from whylook.explainer import DEFAULT_METHODS
    from whylook.methods import METHODS
    from whylook.report.words import plain

    return [{**plain(facts(m)), "chosen": m.name in DEFAULT_METHODS} for m in METHODS]


@router.get("/metrics", summary="The measures of maps")
def metrics() -> list[dict[str, Any]]:
    """All that is known of each measure."""
    from whylook.metrics import METRICS
    from whylook.metrics_catalog import facts
    from whylook.report.words import plain

    return [plain(facts(m)) for m in METRICS]


@router.get("/samples", response_model=list[Sample], summary="Pictures to try")
def samples(house: TheHouse) -> list[dict[str, Any]]:
    """Drawn pictures whose truth is known."""
    return [sample.as_dict() for sample in house.samples]


@router.get(
    "/samples/{name}/picture",
    response_class=Response,
    responses={**GONE, 200: {"content": {"image/png": {}}, "description": "The picture."}},
    summary="A sample as PNG",
)
def sample_picture(house: TheHouse, name: Annotated[str, Path(examples=["disc-marker"])]) -> Response:
    """The picture of a sample."""
    return png(house.samples[name].image().rgb8())


def png(pixels: Any) -> Response:
    """Return pixels, uint8 [h, w, 3], as an answer."""
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, "PNG", compress_level=3)
    return Response(stream.getvalue(), media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})
