"""Whether our own clock may correct those of devices: a clock that jumps must not drag a whole street with it. Project choice.

UTC is compared with monotonic time, which cannot jump. After a jump of more than five seconds no device's clock is touched, and that
is told. It is trusted again when it has come back, when most of the devices that were looked at since then agree with it (then the
jump was a correction of ours), or when somebody confirms it. What has jumped is kept in the journal, so that a restart hides nothing;
and at a start a clock behind the last moment that was kept counts as one that jumped. A jump ahead while nobody is there looks like
a long time without a concentrator: so after a start no device's clock is touched until most of those that were looked at agree with
ours. If most do not, ours counts as one that jumped.
"""

from __future__ import annotations

from statistics import median

from osgp.concentrator.journal import Journal

__all__ = ["OwnClock"]

_LEAVE_S = 5.0
_EVEN = 1e-3
"""How much faster or slower a clock may run that is being adjusted."""
_AGREES_S = 60.0
_LEAST_VOTES = 3
_KEPT, _KEPT_S = "own clock", 3600.0


class OwnClock:
    """See the module. ``wall``: UTC seconds at ``now``, monotonic seconds. Raises StoreError."""

    def __init__(self, journal: Journal, wall: float, now: float) -> None:
        self._journal = journal
        self._offset_s = wall - now
        self._at = now
        kept = journal.get(_KEPT, {})
        self.jumped_s = float(kept.get("jumped", 0.0))
        """By how much it is off from where it was trusted; up to five seconds it is."""
        self.is_proven = not kept
        """Whether devices have agreed since the start; without a time before it there is nobody who could know better."""
        self._drifts: dict[int, float] = {}
        self._kept_at = float("-inf")
        behind_s = wall - float(kept.get("wall", wall))
        if behind_s < -_LEAVE_S:
            self._jumped(behind_s, wall)

    @property
    def is_trusted(self) -> bool:
        """Whether it may correct others."""
        return self.is_proven and not self._is_off

    @property
    def _is_off(self) -> bool:
        return abs(self.jumped_s) > _LEAVE_S

    def look(self, wall: float, now: float) -> None:
        """What it shows now. Raises StoreError."""
        change = wall - now - self._offset_s
        even = 1.0 + _EVEN * (now - self._at)
        self._offset_s, self._at = wall - now, now
        if abs(change) > even:
            self._drifts.clear()
            self._jumped(change, wall)
        elif now >= self._kept_at + _KEPT_S:
            self._keep(wall)
            self._kept_at = now

    def vote(self, device: int, drift_s: float, wall: float) -> None:
        """How far a device's clock is from ours. While ours is not trusted, most of those that are heard decide. Raises StoreError."""
        if self.is_trusted:
            return
        self._drifts[device] = drift_s
        heard = len(self._drifts)
        agreeing = sum(abs(each) <= _AGREES_S for each in self._drifts.values())
        if self._is_off:
            if agreeing >= _LEAST_VOTES and 2 * agreeing > heard:
                words = f"{agreeing} of {heard} devices agree with our own clock: the jump was a correction"
                self._trust(words, wall)
        elif heard >= min(_LEAST_VOTES, len(self._journal.devices())):
            self._judge(agreeing, heard, wall)

    def _judge(self, agreeing: int, heard: int, wall: float) -> None:
        """After a start: what devices say of a clock that nobody has watched meanwhile."""
        if 2 * agreeing > heard:
            self.is_proven = True
            self._drifts.clear()
        elif 2 * agreeing < heard:
            self.is_proven = True
            self._jumped(-median(self._drifts.values()), wall)
            self._drifts.clear()

    def confirm(self, wall: float) -> None:
        """Somebody who knows says that it is right. Raises StoreError."""
        if not self.is_trusted:
            self._trust("our own clock was confirmed", wall)

    def _jumped(self, change: float, wall: float) -> None:
        was_off = self._is_off
        self.jumped_s += change
        self._keep(wall)
        if was_off and not self._is_off:
            self._note("our own clock is back where it was", wall, "warning")
        elif self._is_off:
            text = f"our own clock jumped by {change:.0f} s: clocks of devices are left alone until it is back or confirmed"
            self._note(text, wall, "critical")

    def _trust(self, why: str, wall: float) -> None:
        self.jumped_s = 0.0
        self.is_proven = True
        self._drifts.clear()
        self._keep(wall)
        self._note(why, wall, "warning")

    def _keep(self, wall: float) -> None:
        self._journal.put(_KEPT, {"jumped": self.jumped_s, "wall": wall})

    def _note(self, text: str, wall: float, severity: str) -> None:
        self._journal.note("own clock", text, wall, severity=severity, detail={"jumped_s": round(self.jumped_s, 1)})
