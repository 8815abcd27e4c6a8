"""ET89 Meter LN Status (MEP guide p. 186)."""

from __future__ import annotations

from osgp.tables.et.et90 import ET90
from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Since, Struct, at, bit, env
from osgp.wire import fields as f

__all__ = ["ET89"]


class ET89(
    Table,
    number=2137,
    title="Meter LN Status",
    role="status",
    source="MEP guide p. 186",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=()),
    notes=(
        (
            "Symbols A (bytes of the adjustable-log mask) and B are not defined in the guide; A "
            "is modelled as env.LN_LOG_MASK_LEN, B follows from the layout (unverified)."
        ),
        ("Pending security events are dimensioned by ET90 bytes 25 and 26, which the ET90 chart does not list."),
    ),
):
    """Meter LN Status."""

    prior_mep1_handle: int = f.u16(vci="M", default=0, doc="handle of the last deregistered MEP1")
    prior_mep1_id: bytes = f.binary(30, vci="M", default=0, doc="its identification string")
    mep1_rereg_requests: int = f.u8(
        vci="M", default=0, doc="re-registration attempts, wraps after 255 and also zeroes the next field"
    )
    mep1_rereg_allowed: int = f.u8(vci="M", default=0, doc="new handles assigned on re-registration")
    prior_mep2_handle: int = f.u16(vci="M", default=0, doc="handle of the last deregistered MEP2")
    prior_mep2_id: bytes = f.binary(30, vci="M", default=0, doc="its identification string")
    mep2_rereg_requests: int = f.u8(vci="M", default=0, doc="as MEP1")
    mep2_rereg_allowed: int = f.u8(vci="M", default=0, doc="as MEP1")
    last_h1_time: LTime = f.ltime(since=Since("4.50"), doc="time of the last H1 telegram")

    class StatusFlags0(Bits, size=1):
        """Status flags."""

        h1_device_present: int = bit(0, 1, default=0, doc="H1 data request line driven externally")
        plc_disabled: int = bit(1, 1, default=0, doc="PLC disabled (the following filler is printed as bits 1..7)")
        filler: int = bit(2, 6, doc="zero")

    status_flags_0: StatusFlags0 = f.bits(StatusFlags0, since=Since("4.50"), doc="status flags")

    class Relays(Struct, floor="tables"):
        """Per relay, 17 bytes."""

        class OpMode(Bits, size=1):
            """Current operation mode."""

            mode: int = bit(
                0, 3, default=3, values={0: "maintenance", 1: "locked", 2: "remote", 3: "local"}, doc="mode"
            )
            unlisted_3: int = bit(3, 5, doc="not listed")

        op_mode: OpMode = f.bits(OpMode, vci="M", doc="current operation mode")

        class Maintenance(Bits, size=4):
            """Maintenance mode."""

            remaining: int = bit(0, 19, default=0, doc="seconds until expiry (max 262143, 72 h)")
            no_expire: int = bit(19, 1, default=0, doc="does not expire")
            state: int = bit(20, 2, default=2, values={0: "open", 1: "closed", 2: "unknown"}, doc="specified state")
            reserved: int = bit(22, 10, default=0, doc="reserved")

        maintenance: Maintenance = f.bits(Maintenance, vci="M", doc="maintenance mode")

        class Locked(Bits, size=4):
            """Locked mode."""

            remaining: int = bit(0, 19, default=0, doc="seconds until expiry")
            no_expire: int = bit(19, 1, default=0, doc="does not expire")
            state: int = bit(20, 2, default=2, values={0: "open", 1: "closed", 2: "unknown"}, doc="specified state")
            reserved: int = bit(22, 10, default=0, doc="reserved")

        locked: Locked = f.bits(Locked, vci="M", doc="locked mode")

        class Remote(Bits, size=4):
            """Remote mode."""

            remaining: int = bit(0, 19, default=0, doc="seconds until expiry")
            no_expire: int = bit(19, 1, default=0, doc="does not expire")
            state: int = bit(20, 2, default=2, values={0: "open", 1: "closed", 2: "unknown"}, doc="specified state")
            reserved: int = bit(22, 10, default=0, doc="reserved")

        remote: Remote = f.bits(Remote, vci="M", doc="remote mode")

        class Local(Bits, size=4):
            """Local mode."""

            remaining: int = bit(0, 19, default=0, doc="seconds until expiry")
            no_expire: int = bit(19, 1, default=1, doc="does not expire")
            state: int = bit(20, 2, default=0, values={0: "open", 1: "closed", 2: "unknown"}, doc="specified state")
            reserved: int = bit(22, 10, default=0, doc="reserved")

        local: Local = f.bits(Local, vci="M", doc="local mode")

    relays: list[Relays] = f.record(Relays, count=2, since=Since("4.50"), doc="per relay, 17 bytes")
    image_key_ids: list[int] = f.u16(
        count=2, vci="M", default=0, since=Since("4.50"), doc="public key IDs for image signature validation"
    )

    class KeyStatus(Bits, size=1):
        """Key validity."""

        key0_invalidated: int = bit(0, 1, doc="key index 0 invalidated")
        key1_invalidated: int = bit(1, 1, doc="key index 1 invalidated")
        unlisted_2: int = bit(2, 6, doc="not listed")

    key_status: KeyStatus = f.bits(KeyStatus, vci="M", default=0, since=Since("4.50"), doc="key validity")
    last_validation_error: int = f.u8(
        vci="M",
        default=0,
        since=Since("4.50"),
        values={
            0: "no error",
            1: "image not signed",
            2: "key ID not defined",
            3: "key invalidated",
            16: "invalid signature",
            17: "invalid signature length",
            18: "invalid signature data",
            32: "invalid public key format",
            33: "invalid key EC point",
            240: "unknown error",
        },
        doc="latest image validation",
    )
    last_validation_key_id: int = f.u16(vci="M", default=0, since=Since("4.50"), doc="key used")
    last_image_len: int = f.u32(unit="byte", vci="M", default=0, since=Since("4.50"), doc="latest image length")
    signature_len: int = f.u8(unit="byte", vci="M", default=0, since=Since("4.50"), doc="its signature length")
    signature: bytes = f.binary(8, vci="M", default=0, since=Since("4.50"), doc="first 8 signature bytes")
    ln_log_unread_mask: bytes = f.binary(
        env.ln_log_mask_len, vci="M", default=1, since=Since("4.50"), doc="LN adjustable logs with unread entries"
    )

    class DisconnectFlags(Bits, size=1):
        """Disconnect blocking."""

        block_remote_proc: int = bit(0, 1, default=0, doc="block remote procedure disconnect")
        block_auto_pushbutton: int = bit(1, 1, default=0, doc="block automatic and push button disconnect")
        block_local_proc: int = bit(2, 1, default=0, doc="block local procedure disconnect")
        block_remote_unblock: int = bit(3, 1, default=0, doc="block remote unblock")
        unlisted_4: int = bit(4, 4, doc="not listed")

    disconnect_flags: DisconnectFlags = f.bits(DisconnectFlags, vci="M", since=Since("4.50"), doc="disconnect blocking")

    class PendingSecEvents(Struct, floor="tables"):
        """Pending security events."""

        alarm_id: int = f.u16(vci="M", default=0, doc="alarm ID")
        argument: int = f.u16(vci="M", default=0, doc="alarm/event argument")
        count: int = f.u16(vci="M", default=0, doc="occurrences in the window")
        minutes_to_report: int = f.u16(unit="min", vci="M", default=0, doc="time to the end of the window")

    pending_sec_events: list[PendingSecEvents] = f.record(
        PendingSecEvents,
        count=at(ET90).nbr_pending_sec_events,
        stride=at(ET90).pending_sec_event_size,
        since=Since("4.50"),
        doc="pending security events",
    )

    class TlsPorts(Struct, floor="tables"):
        """Optical, MEP1, MEP2 (guide offset 138+B)."""

        class State(Bits, size=1):
            """Port state."""

            session: int = bit(
                0,
                3,
                default=0,
                values={0: "none", 1: "RC4 unencrypted", 2: "RC4 encrypted", 3: "C12.18 unencrypted", 4: "TLS"},
                doc="session state",
            )
            tls_state: int = bit(3, 5, default=0, doc="TLS handshake state")

        state: State = f.bits(State, vci="M", doc="port state")
        tls_error: int = f.u16(vci="M", default=0, doc="latest mbedTLS error, positive")
        tls_error_count: int = f.u16(vci="M", default=0, doc="TLS session errors, never cleared")

    tls_ports: list[TlsPorts] = f.record(
        TlsPorts, count=3, since=Since("4.60"), doc="optical, MEP1, MEP2 (guide offset 138+B)"
    )
