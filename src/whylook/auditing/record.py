"""An audit as data: the content of `audit.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from whylook.auditing.views import NAMES
from whylook.report.manifest import model_record, versions
from whylook.report.words import plain

if TYPE_CHECKING:
    from whylook.auditing.audit import Audit, Row

SCHEMA = "whylook-audit/1"


def record(audit: Audit, problems: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Everything that was measured and decided, ready for strict JSON.

    Parameters
    ----------
    audit : what was found.
    problems : (what, reason) of each picture that was left out.
    """
    decision = audit.decision
    return {
        "schema": SCHEMA,
        "versions": versions(),
        "model": model_record(audit.model.name, audit.model, audit.model.fingerprint),
        "verdict": decision.kind,
        "words": decision.words,
        "named": audit.named.convention.name,
        "not_told_apart": list(decision.same),
        "judged_by": "accuracy" if audit.truth is not None else "evidence",
        "remedy": None if audit.remedy is None else asdict(audit.remedy),
        "views": list(NAMES),
        "images": [
            {
                "name": image.name,
                "source": image.source,
                "sha256": image.sha256,
                "right": None if audit.truth is None else audit.truth[i],
            }
            for i, image in enumerate(audit.images)
        ],
        "conventions": [_row(row) for row in audit.rows],
        "variants": [_row(row) for row in audit.variants],
        "sizes": None
        if audit.sizes is None
        else {
            "verdict": audit.sizes.kind,
            "words": audit.sizes.words,
            "named": audit.variants[audit.sizes.named].convention.name,
            "not_told_apart": list(audit.sizes.same),
        },
        "forwards": audit.forwards,
        "seconds": audit.seconds,
        "seed": audit.seed,
        "failures": [{"what": what, "reason": reason} for what, reason in problems],
    }


def _row(row: Row) -> dict[str, Any]:
    seen, versus = row.evidence, row.versus
    return {
        "name": row.convention.name,
        "kind": row.convention.kind,
        "preprocess": plain(row.convention.preprocess.as_dict()),
        "evidence": float(seen.clear.mean()),
        "agreement": float(seen.agreement.mean()),
        "accuracy": None if row.hits is None else float(row.hits.mean()),
        "versus": None if versus is None else plain(asdict(versus)),
        "per_picture": {
            "evidence": [float(v) for v in seen.clear],
            "agreement": [float(v) for v in seen.agreement],
            "first": [int(v) for v in seen.top],
        },
    }
