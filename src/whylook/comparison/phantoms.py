"""The phantom's data sets as data to compare models on: their lesions are marked, and their marker is suspicious."""

from __future__ import annotations

from whylook.comparison.data import DataSet, Item, Sample
from whylook.phantom import LABELS, dataset

PREFIX = "phantom-data:"
USUAL = 100  # pictures, where no limit is given


def phantom_data(name: str, count: int | None = None) -> DataSet:
    """Return a data set of the phantom: test patients, none of whom a network was trained on.

    Parameters
    ----------
    name : `clean`, `shortcut`, …; see `whylook.phantom.dataset`.
    count : number of pictures; by default 100.
    """
    drawn = dataset(name, USUAL if count is None else count)
    width = len(str(drawn.seeds[-1]))

    def item(place: int) -> Item:
        seed = drawn.seeds[place]

        def read() -> Sample:
            from whylook.image import load_image

            phantom = drawn[place]
            masks = [phantom.scoring_mask(c) if c in phantom.masks else None for c in ("lesion", "marker")]
            return Sample(load_image(phantom.pixels), LABELS[phantom.label], *masks)

        return Item(f"{seed:0{width}}.png", None, read)

    said = f"Drawn by whylook.phantom, seeds {drawn.seeds[0]} to {drawn.seeds[-1]}; "
    said += "masks are 4 pixels wider than what they mark."
    lesions = name != "marker-only"
    return DataSet(
        PREFIX + name,
        tuple(item(i) for i in range(len(drawn))),
        marked="lesion" if lesions else None,
        suspicious="marker",
        notes=(said,),
    )
