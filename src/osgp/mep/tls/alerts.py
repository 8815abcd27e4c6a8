"""TLS alerts: the codes, their two bytes, and how a refusal inside this package carries its alert (RFC 5246, 7.2)."""

from __future__ import annotations

from osgp.wire import OpenEnum, Struct
from osgp.wire import fields as f
from osgp.wire.errors import BadValue, Error, RemoteProtocolError

__all__ = ["Alert", "AlertLevel", "AlertMessage", "Refusal", "alert_name", "decode_alert", "encode_alert"]


class AlertLevel(OpenEnum):
    """How serious an alert is; after a fatal one the session is over."""

    WARNING = 1
    FATAL = 2


class Alert(OpenEnum):
    """The alert codes that we send or explain (RFC 5246, 7.2; 86: RFC 7507; 115: RFC 4279)."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    DECOMPRESSION_FAILURE = 30
    HANDSHAKE_FAILURE = 40
    ILLEGAL_PARAMETER = 47
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    UNSUPPORTED_EXTENSION = 110
    UNKNOWN_PSK_IDENTITY = 115


class AlertMessage(
    Struct, byte_order="big", floor="mep.tls", source="RFC 5246 section 7.2", status="verified", exact=True
):
    """The content of an alert record.

    Exactly one whole alert is taken per record: splitting one over records, or joining several, is legal on paper but
    done by nobody (project choice).
    """

    level: AlertLevel = f.code(AlertLevel, doc="whether the session may go on")
    description: Alert = f.code(Alert, doc="what is wrong")


def alert_name(code: int) -> str:
    """The name of an alert code for people: ``bad record mac``, or ``alert 200`` for a code without a name here."""
    alert = Alert(code)
    return alert.name.lower().replace("_", " ") if alert.known else f"alert {code}"


def encode_alert(level: AlertLevel, alert: Alert) -> bytes:
    """The two bytes of an alert."""
    return AlertMessage(level=level, description=alert).encode()


def decode_alert(data: bytes) -> tuple[AlertLevel, Alert]:
    """Level and code of one alert. Raises DecodeError for any other length than two, or a level that does not exist."""
    alert = AlertMessage.decode(data)
    if not alert.level.known:
        about = AlertMessage.about
        raise BadValue("no such alert level", floor=about.floor, struct="AlertMessage", field="level", data=data)
    return alert.level, alert.description


class Refusal(Exception):
    """Inside this package only: an error of our tree together with the alert that tells the peer.

    ``session.TlsSide`` catches it, queues the alert and raises ``error``; it never reaches a caller.
    """

    def __init__(self, alert: Alert, error: Error | str) -> None:
        super().__init__(alert.name)
        self.alert = alert
        self.error: Error = RemoteProtocolError(error) if isinstance(error, str) else error
