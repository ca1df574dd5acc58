"""How a stack is oriented, in words: where the view, the order of its slices and the RV insertions came from."""

from __future__ import annotations

from collections import Counter

from lgesynthnet.anatomy.orientation import OrderSource, StackOrder, contradicts_affine, order_stack
from lgesynthnet.hosts.locate import LocatedStack
from lgesynthnet.records import Insertions, Source, Stack, View, ViewSource

_VIEW = {
    ViewSource.GIVEN: "view from --flip",
    ViewSource.AFFINE: "view from the affine",
    ViewSource.STORED: "view as stored, since the affine says nothing about the patient",
}
_ORDER = {
    OrderSource.GIVEN: "as it was stated",
    OrderSource.AFFINE: "by the affine",
    OrderSource.AREAS: "by the areas of the heart",
    OrderSource.ASSUMED: "as assumed",
}
_SOURCE = {
    Source.LANDMARKS: "landmarks",
    Source.RV_LABEL: "the RV label",
    Source.IMAGE: "the image",
    Source.ASSUMED: "no source, so they are assumed",
}


def describe_orientation(stack: Stack, hearts: LocatedStack | None) -> str:
    """One line for a stack; without `hearts` it leaves the RV insertions out."""
    order = hearts.order if hearts is not None else order_stack(stack)
    parts = [_view(stack.view), _order(order)]
    if hearts is not None:
        parts.append(_insertions([pair for pair in hearts.insertions if pair is not None]))
    return "; ".join(parts)


def order_conflict(stack: Stack, order: StackOrder) -> str | None:
    """What to say where the heart contradicts the affine about base and apex; None elsewhere."""
    if not contradicts_affine(stack, order):
        return None
    ends = ("base", "apex") if order.base_first else ("apex", "base")
    return (
        f"the heart becomes smaller as if slice 0 were at the {ends[0]}, but the affine places it at the {ends[1]}; the heart is believed: "
        "correct the file, or say it with --base-first or --apex-first"
    )


def _view(view: View) -> str:
    turned = ["rows and columns exchanged"] if view.transpose else []
    turned += ["rows reversed"] if view.flip_rows else []
    turned += ["columns reversed"] if view.flip_columns else []
    return _VIEW[view.source] + (f" ({', '.join(turned)})" if turned else "")


def _order(order: StackOrder) -> str:
    certain = f", confidence {order.confidence:.2f}" if order.source is OrderSource.AREAS else ""
    return f"{'base' if order.base_first else 'apex'} first {_ORDER[order.source]}{certain}"


def _insertions(pairs: list[Insertions]) -> str:
    if not pairs:
        return "no RV insertions"
    found = []
    for source, count in sorted(Counter(pair.source for pair in pairs).items()):
        confidences = [pair.confidence for pair in pairs if pair.source is source]
        certain = f", confidence {min(confidences):.2f} to {max(confidences):.2f}" if source is Source.IMAGE else ""
        found.append(f"{_SOURCE[source]} ({count} slices{certain})")
    return f"RV insertions from {' and '.join(found)}"
