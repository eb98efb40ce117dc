"""What one API process owns."""

from __future__ import annotations

import flask

from core import metrics
from core.cached import Cached
from core.settings import Settings
from jobs import figures
from jobs.follower import Follower
from serving.places import Places
from wiring.base import part
from wiring.door import PART, QUICK, Door

#: For so long what is counted row by row is good for a scraper.
FIGURES_S = 5.0
#: And after the store took something, it is not tried again.
TAKES_S = 5.0


class Resources(Door):
    """Made once per process; everything in it may be shared by threads."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, application="coatcheck-api", limits=QUICK)
        #: Of open event streams.
        self.streams = Places("open event streams", settings.api.max_streams, PART, metrics.STREAMS)

    @part
    def figures(self) -> Cached[figures.Figures]:
        return Cached(lambda: figures.read(self.engine), FIGURES_S)

    @part
    def follower(self) -> Follower:
        """Of all event streams."""
        return Follower(self.engine)

    @part
    def takes_files(self) -> Cached[None]:
        """Whether the store does."""
        return Cached(self.store.check_takes, TAKES_S)


def here() -> Resources:
    """The resources of the app that is answering."""
    found: Resources = flask.current_app.extensions["coatcheck"]
    return found
