"""Virtual time: every delay of a host is given in its own seconds and divided by the scale."""

from __future__ import annotations

import asyncio
import time

from nova_aggregates.simulator.values import DateTime, datetime_at


class Clock:
    """Seconds that pass ``scale`` times faster than real ones.

    Built on the running loop's clock, so a loop with a clock of its own (as in unit tests) makes
    the waits vanish.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoch = time.time()
        self._origin = self._loop.time()
        self.scale = 1.0
        self.set_scale(scale)

    def set_scale(self, scale: float) -> None:
        """Go on from now at another speed. Waits under way keep theirs. Raises ValueError."""
        if scale <= 0:
            raise ValueError("the time scale must be greater than zero")
        moment = self._loop.time()
        self._epoch += (moment - self._origin) * self.scale
        self._origin = moment
        self.scale = scale

    def now(self) -> float:
        """Unix time as the simulated hosts see it, in seconds."""
        return self._epoch + (self._loop.time() - self._origin) * self.scale

    def stamp(self) -> DateTime:
        return datetime_at(self.now())

    async def sleep(self, seconds: float) -> None:
        """Wait for that many virtual seconds."""
        await asyncio.sleep(max(0.0, seconds) / self.scale)
