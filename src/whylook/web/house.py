"""Everything that a server has: what the routers are given."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from whylook.errors import UsageError, WhylookError
from whylook.web.catalogue import Catalogue
from whylook.web.errors import NotFound
from whylook.web.folder import allowed
from whylook.web.jobs.events import Events
from whylook.web.jobs.models import Models
from whylook.web.jobs.queue import Queue
from whylook.web.jobs.store import Store
from whylook.web.narrators import Narrators
from whylook.web.samples import Samples
from whylook.web.settings import Settings, data_folder
from whylook.web.uploads import DECODING, without_path
from whylook.web.work import ASKING, COMPUTING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from whylook.explanation import Explanation
    from whylook.image import Image
    from whylook.web.jobs.job import Job
    from whylook.web.jobs.queue import Report


class House:
    """A server's parts, put together.

    Parameters
    ----------
    settings : how it was started.

    Raises
    ------
    WhylookError
        If the data folder cannot be used, or the configured models cannot be told apart.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.catalogue = Catalogue(settings.models, settings.device)
        self.samples = Samples()
        self.undrawn: dict[str, list[Explanation]] = {}  # by job: its figures are drawn when there is time
        self.models = Models(self.catalogue.load, settings.limits.memory)
        self.store = Store(settings.data or data_folder(), settings.keep)
        self.events = Events()
        self.narrators = Narrators()
        self.queue = self._queue(COMPUTING, "whylook-device")
        self._asking = self._queue(ASKING, "whylook-service")  # a service that answers late keeps no map waiting

    def _queue(self, work: Mapping[str, Callable[[House, Job, Report], None]], name: str) -> Queue:
        bound = {kind: partial(function, self) for kind, function in work.items()}
        return Queue(self.store, self.events, bound, self.settings.limits, name)

    def lane(self, kind: str) -> Queue:
        """Return the queue that jobs of a kind wait in."""
        return self._asking if kind in ASKING else self.queue

    def start(self) -> None:
        """Begin to compute."""
        self.store.purge()
        self.queue.later(self._look)
        self.queue.start()
        self._asking.start()

    def _look(self) -> None:
        """Load each configured model once, on the computing thread, so that all about it is known."""
        for entry in self.catalogue.unknown():
            with suppress(WhylookError):  # the catalogue keeps it, as what to do
                self.models.load(entry.name)

    def warm(self) -> None:
        """Have the models of the default choice loaded before anybody asks; errors are said when they ask."""

        def load() -> None:
            import_module("whylook.explainer")
            for name in self.catalogue.chosen(self.catalogue.listing()):
                self.models.load(name)

        self.queue.later(load)

    def close(self) -> None:
        """Stop computing and let go of the data folder."""
        self.events.close()
        ended = [lane.close() for lane in (self.queue, self._asking)]
        if all(ended):
            self.store.close()

    async def labels(self, name: str) -> tuple[str, ...]:
        """Return the names of a model's classes; it is loaded for them only where they are not known yet.

        Raises
        ------
        WhylookError
            If there is no such model, or it cannot be loaded.
        """
        known = self.catalogue.labels(name)
        if known is None:
            await self.queue.compute(lambda: self.models.load(name))
            known = self.catalogue.labels(name)
        assert known is not None
        return known

    def ref(self, ref: str) -> str:
        """Return what a picture is called for good: a job's id is resolved to the picture that the job is of.

        Raises
        ------
        NotFound
            If there is no such job, or it has no such picture.
        """
        if ":" in ref:
            return ref
        job, _, number = ref.partition("/")
        refs = self.store.job(job).request.get("pictures", ())
        index = int(number) if number.isdecimal() and len(number) < 4 else 0
        if index >= len(refs):
            raise NotFound(f"The job has no picture {ref[:80]!r}.")
        return str(refs[index])

    def picture(self, ref: str) -> Image:
        """Return a picture.

        Parameters
        ----------
        ref : `sample:ID`, `upload:ID`, `folder:PATH` (below the folder that was allowed), the id of a job (its first
            picture), or `ID/1`, its second.

        Raises
        ------
        NotFound
            If there is none of that name, or it has expired.
        UsageError
            If `ref` is none of the above.
        """
        from whylook.image import load_image

        kind, _, name = self.ref(ref).partition(":")
        if kind == "sample":
            return self.samples[name].image()
        if kind == "upload":
            known = self.store.picture(name)
            file = self.store.picture_file(known.id)
            if not file.is_file():
                raise NotFound("The file of this picture is gone; hand it in again.")
            with DECODING:
                image = load_image(file, max_pixels=self.settings.limits.pixels)
            return replace(image, name=known.name, source=None)
        if kind == "folder":
            return self.chosen(name)
        raise UsageError(f"{ref[:80]!r} is no picture of this server; it is sample:ID, upload:ID, or a job's id.")

    def chosen(self, path: str) -> Image:
        """Return a picture of the folder that was allowed; raises what `allowed` does, and `ImageError`."""
        from whylook.errors import ImageError
        from whylook.image import load_image

        file = allowed(self.settings.folder, path)
        try:
            with DECODING:
                return replace(load_image(file, max_pixels=self.settings.limits.pixels), source=None)
        except ImageError as error:
            raise ImageError(without_path(str(error), file, file.name)) from error


def house(request: Request) -> House:
    """Return the server's parts; for `Depends`."""
    return cast(House, request.app.state.house)


TheHouse = Annotated[House, Depends(house)]
