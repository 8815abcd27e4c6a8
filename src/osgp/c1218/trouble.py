"""What to tell a person when the optical port does not answer as it should."""

from __future__ import annotations

from osgp.wire.errors import DecodeError, NoAnswer, NoKey, RemoteProtocolError

__all__ = [
    "PossiblyExecuted",
    "cannot_match",
    "nothing_heard",
    "only_older_answers",
    "strange_answer",
    "write_in_doubt",
    "wrong_key",
]


class PossiblyExecuted(NoAnswer):
    """A write was sent and no answer came: it may or may not have been done."""


def write_in_doubt(reason: str, attempts: int) -> PossiblyExecuted:
    """A write without an answer."""
    return PossiblyExecuted(
        f"write: {reason}",
        attempts=attempts,
        hint="the meter may or may not have done it: read back before writing again",
    )


def nothing_heard(heard: int, echo: bool, attempts: int) -> NoAnswer:
    """Why ident may stay without answer, as far as the bytes tell."""
    if echo:
        return NoAnswer(
            "only our own bytes came back, the meter says nothing",
            attempts=attempts,
            hint="the head works (it echoes); put it on the meter's optical port, or rotate it by 180°; "
            "the port may be switched off in the meter (ET55)",
        )
    if heard:
        return NoAnswer(
            "bytes came, but nothing that is an answer",
            attempts=attempts,
            hint="check 9600 baud 8N1 and stray light; on generation 2 and 3 meters a MEP device shares this port: "
            "unplug it, or try wake-up bytes",
        )
    return NoAnswer(
        "not a single byte came back",
        attempts=attempts,
        hint="rotate the optical head by 180° (probe polarity); see that it has supply (RTS on, DTR off); 9600 baud 8N1; "
        "a MEP device may share the port (generation 2 and 3); the port may be switched off in the meter or locked for "
        "some minutes",
    )


def wrong_key(code: int) -> NoKey:
    """The meter refuses the password with ``code``."""
    return NoKey(
        f"the meter does not accept this password (code {code:02X})",
        hint="MK, PK or RK of this very meter, 20 characters or 40 hexadecimal digits; after several wrong ones in a row "
        "the meter locks the port for minutes",
    )


def strange_answer(what: str, error: DecodeError) -> RemoteProtocolError:
    """An answer in good packets that is none."""
    return RemoteProtocolError(f"{what}: the meter's answer cannot be read: {error.message}")


def only_older_answers(doing: str) -> RemoteProtocolError:
    """Answer upon answer, and none of them ours."""
    return RemoteProtocolError(
        f"{doing}: the meter goes on answering something else",
        hint="the line delays or repeats what it carries: wait until it is quiet, then try again",
    )


def cannot_match(code: int) -> RemoteProtocolError:
    """The meter refuses the read that would tell old answers from new ones with ``code``."""
    return RemoteProtocolError(
        f"after trouble on the line old answers cannot be told from new ones: the meter refuses to read BT00 ({code:02X})",
        hint="try again: the next session begins when the line has been quiet for some seconds",
    )
