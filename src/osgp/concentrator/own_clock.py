"""Whether our own clock may correct those of devices: a clock that jumps must not drag a whole street with it. Project choice.

UTC is compared with monotonic time, which cannot jump. After a jump of more than five seconds no device's clock is touched, and that
is told. It is trusted again when it has come back, when most of the devices that were looked at since then agree with it (then the
jump was a correction of ours), or when somebody confirms it. What has jumped is kept in the journal, so that a restart hides nothing;
and at a start a clock behind the last moment that was kept counts as one that jumped. A jump ahead while nobody is there is not seen.
"""

from __future__ import annotations

from osgp.concentrator.journal import Journal

__all__ = ["OwnClock"]

_LEAVE_S = 5.0
_EVEN = 1e-3
"""How much faster or slower a clock may run that is being adjusted."""
_AGREES_S = 60.0
_LEAST_VOTES = 3
_KEPT, _KEPT_S = "own clock", 3600.0


class OwnClock:
    """See the module. ``wall``: UTC seconds at ``now``, monotonic seconds."""

    def __init__(self, journal: Journal, wall: float, now: float) -> None:
        self._journal = journal
        self._offset_s = wall - now
        self._at = now
        kept = journal.get(_KEPT, {})
        self.jumped_s = float(kept.get("jumped", 0.0))
        """By how much it is off from where it was trusted; up to five seconds it is."""
        behind_s = wall - float(kept.get("wall", wall))
        if behind_s < -_LEAVE_S:
            self._jumped(behind_s, wall)
        self._votes: dict[int, bool] = {}
        self._kept_at = now

    @property
    def is_trusted(self) -> bool:
        """Whether it may correct others."""
        return abs(self.jumped_s) <= _LEAVE_S

    def look(self, wall: float, now: float) -> None:
        """What it shows now. Raises StoreError."""
        change = wall - now - self._offset_s
        even = 1.0 + _EVEN * (now - self._at)
        self._offset_s, self._at = wall - now, now
        if abs(change) > even:
            self._votes.clear()
            self._jumped(change, wall)
        elif now >= self._kept_at + _KEPT_S:
            self._keep(wall)
            self._kept_at = now

    def vote(self, device: int, drift_s: float, wall: float) -> None:
        """How far a device's clock is from ours. While ours is not trusted, most of those that are heard decide."""
        if self.is_trusted:
            return
        self._votes[device] = abs(drift_s) <= _AGREES_S
        agreeing = sum(self._votes.values())
        if agreeing >= _LEAST_VOTES and 2 * agreeing > len(self._votes):
            self._trust(
                f"{agreeing} of {len(self._votes)} devices agree with our own clock: the jump was a correction", wall
            )

    def confirm(self, wall: float) -> None:
        """Somebody who knows says that it is right. Raises StoreError."""
        if not self.is_trusted:
            self._trust("our own clock was confirmed", wall)

    def _jumped(self, change: float, wall: float) -> None:
        was_trusted = self.is_trusted
        self.jumped_s += change
        self._keep(wall)
        if self.is_trusted and not was_trusted:
            self._note("our own clock is back where it was", wall, "warning")
        elif not self.is_trusted:
            text = f"our own clock jumped by {change:.0f} s: clocks of devices are left alone until it is back or confirmed"
            self._note(text, wall, "critical")

    def _trust(self, why: str, wall: float) -> None:
        self.jumped_s = 0.0
        self._votes.clear()
        self._keep(wall)
        self._note(why, wall, "warning")

    def _keep(self, wall: float) -> None:
        self._journal.put(_KEPT, {"jumped": self.jumped_s, "wall": wall})

    def _note(self, text: str, wall: float, severity: str) -> None:
        self._journal.note("own clock", text, wall, severity=severity, detail={"jumped_s": round(self.jumped_s, 1)})
