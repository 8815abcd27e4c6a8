"""The AES-128 suite against the vectors of its definition, bit for bit and on both sides, refusals included."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osgp.app import image
from osgp.app.aes import device_keys, psk_of, session_keys, unwrap_key, wrap_key
from osgp.app.counters import stored
from osgp.app.critical import critical, procedure_of
from osgp.app.device import DevicePolicy
from osgp.app.handshake import PeerHandshake
from osgp.app.memory import RamMemory
from osgp.app.messages import (
    Alert,
    AlertFrame,
    Announcement,
    BroadcastFrame,
    Challenge,
    ChallengeReply,
    CodePacket,
    Commission,
    CommissionContents,
    CommissionReply,
    KeyUpdate,
    SecuredRequest,
    SecuredResponse,
    SequenceErrorFrame,
    SwitchBank,
)
from osgp.app.peer import PeerSecurity, Terms, key_update_order
from osgp.app.suite import Address, BroadcastCipher, UnicastCipher
from osgp.app.token import procedure_with_token, token, write_with_token
from osgp.app.verdict import Accepted, Answered, Denied, How, Refused, Verdict
from osgp.crypto.keys import Key
from osgp.wire import LTime, Struct
from tests.app.making import ND, PROFILE, a_device, a_set, aes_vectors, unhex

VECTORS = {one["name"]: (one["inputs"], one["outputs"]) for one in aes_vectors()}
KNOWN = DevicePolicy(allow_known_keys=True)
Given = dict[str, Any]


def those(*, starts: str = "", has: str = "", out: str = "") -> pytest.MarkDecorator:
    """The vectors by the start of their name or by what they give."""
    names = [
        name
        for name, (given, wanted) in VECTORS.items()
        if name.startswith(starts) and (not has or has in given) and (not out or out in wanted)
    ]
    assert names
    return pytest.mark.parametrize("name", names)


def cipher_of(given: Given) -> UnicastCipher:
    address = Address(unhex(given["domain"]), given["subnet"], given["node"])
    return UnicastCipher(Key(unhex(given["ku"])), given["ku_generation"], unhex(given["nd"]), address, PROFILE)


def random_of(*given: str) -> Any:
    """Gives exactly these random bytes."""
    left = [unhex(one) for one in given]
    return lambda size: left.pop(0)


def laid_out(struct: type[Struct], frame: bytes) -> Any:
    """The frame in its declared layout, which must give it back."""
    found = struct.decode(frame)
    assert found.encode() == frame
    return found


@those(starts="kdf-chain")
def test_keys_are_derived(name: str) -> None:
    given, wanted = VECTORS[name]
    umk, nd, nc = (Key(unhex(given["umk"])), unhex(given["nd"]), unhex(given["nc"]))
    psk = psk_of(umk, nd, nc, given["epoch"], PROFILE)
    keys = device_keys(umk, nd, PROFILE)
    session = session_keys(psk, unhex(given["rc"]), nc, unhex(given["rd"]), nd, given["suite"], PROFILE)
    found = {"psk": psk, **keys._asdict(), **session._asdict()}
    assert {name: key.secret().hex() for name, key in found.items()} == wanted


@those(starts="handshake")
def test_both_sides_say_the_four_messages(name: str) -> None:
    given, wanted = VECTORS[name]
    umk = VECTORS[f"kdf-chain-device-{1 if 'device-1' in name else 2}"][0]["umk"]
    nd, nc, epoch = unhex(given["nd"]), unhex(given["nc"]), given["epoch"]
    device = a_device(nd=nd, umk=Key(unhex(umk)), policy=KNOWN, seed=3)
    device._handshake._randomness = random_of(given["rd"])
    if given["ku_generation_in_use"]:
        device.install(a_set(epoch=epoch, ku_generation=given["ku_generation_in_use"]))
    address = Address(unhex(given["domain"]), given["subnet"], given["node"])
    terms = Terms(
        address, Key(unhex(given["kb"])), given["kb_generation"], given["b"], given["d"], first_seq=given["first_seq"]
    )
    peer = PeerSecurity(nd, Key(unhex(given["psk"])), epoch, nc, RamMemory(), randomness=random_of(given["rc"]))
    challenge = peer.challenge(terms, 0.0)
    if given["suites"] != 4:  # the vector offers RC4 beside it; we never do
        altered = bytearray(challenge)
        altered[2] = given["suites"]
        challenge = bytes(altered)
        assert peer._handshake._open is not None
        peer._handshake._open.challenge = challenge
    said = [challenge]
    second = device.receive(challenge, How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    third = peer.handshake(second.apdu, 0.0)
    assert isinstance(third, Answered)
    fourth = device.receive(third.apdu, How.REQUEST_BY_ID, 0.0)
    assert isinstance(fourth, Answered)
    assert peer.handshake(fourth.apdu, 0.0) == Accepted(b"")
    said += [second.apdu, third.apdu, fourth.apdu]
    assert [one.hex() for one in said] == [wanted[f"msg{number}"] for number in (1, 2, 3, 4)]
    structs: list[type[Struct]] = [Challenge, ChallengeReply, Commission, CommissionReply]
    for struct, frame in zip(structs, said):
        laid_out(struct, frame)
    assert laid_out(CommissionContents, unhex(wanted["commission_plaintext"])).subnet == given["subnet"]
    assert peer._pending is not None
    assert (peer._pending.ku_generation, peer._sealing and peer._sealing.slot) == (
        wanted["new_ku_generation"],
        wanted["slot"],
    )


@those(has="request_plaintext", out="response")
def test_requests_and_responses(name: str) -> None:
    given, wanted = VECTORS[name]
    cipher, plaintext, answer = cipher_of(given), unhex(given["request_plaintext"]), unhex(given["response_plaintext"])
    frame = cipher.seal_request(plaintext, given["seq"])
    response = cipher.seal_response(answer, frame)
    assert (frame.hex(), response.hex()) == (wanted["request"], wanted["response"])
    assert cipher.open_request(frame) == plaintext
    assert cipher.open_response(response, frame) == answer
    counter = given["seq"].to_bytes(4, "big")
    assert (cipher.request_nonce + counter).hex() == wanted["request_nonce"]
    assert (cipher._response_nonce + counter).hex() == wanted["response_nonce"]
    assert (cipher.request_aad + counter).hex() == wanted["request_aad"]
    assert (cipher.request_aad + counter + frame[-8:]).hex() == wanted["response_aad"]
    asked, said = laid_out(SecuredRequest, frame), laid_out(SecuredResponse, response)
    assert (asked.seq, len(asked.ciphertext), len(said.ciphertext)) == (given["seq"], len(plaintext), len(answer))


@those(starts="sequence-error")
def test_sequence_errors(name: str) -> None:
    given, wanted = VECTORS[name]
    memory = RamMemory()
    device = a_device(memory, policy=KNOWN)
    device.install(a_set(first_seq=given["last"] + 1))
    memory.save({"ectr": stored(given["ectr"])})
    device = a_device(memory, policy=KNOWN)
    answered = device.receive(unhex(wanted["request"]), How.REQUEST, 5.0)
    assert answered == Answered(unhex(wanted["error"]), "counter")
    assert laid_out(SequenceErrorFrame, unhex(wanted["error"])).ectr == given["ectr"]
    cipher = cipher_of(given)
    assert cipher.open_error(unhex(wanted["error"]), unhex(wanted["request"])) == unhex(wanted["error_plaintext"])
    assert cipher.seal_request(unhex(given["request_plaintext"]), given["seq"]) == unhex(wanted["request"])


@those(starts="broadcast-")
def test_broadcasts(name: str) -> None:
    given, wanted = VECTORS[name]
    kb, plaintext = Key(unhex(given["kb"])), unhex(given["plaintext"])
    cipher = BroadcastCipher(kb, given["kb_generation"], unhex(given["nc"]), unhex(given["domain"]), PROFILE)
    frame = cipher.seal(plaintext, given["groups"], given["bctr"])
    head = 2 + 2 * len(given["groups"])
    assert frame.hex() == wanted["frame"]
    assert cipher.open(frame, head) == plaintext
    counter = given["bctr"].to_bytes(4, "big")
    assert (cipher._nonce + counter).hex() == wanted["nonce"]
    assert (cipher._aad + frame[:head] + counter).hex() == wanted["aad"]
    assert laid_out(BroadcastFrame, frame).groups == given["groups"]
    if "code-packet" in name:
        order = procedure_of(plaintext)
        assert order is not None
        packet = laid_out(CodePacket, order.parameters)
        assert (order.number, packet.block, packet.code) == (2057, 7, bytes(range(54)))


@those(starts="alert-")
def test_alerts(name: str) -> None:
    given, wanted = VECTORS[name]
    time = LTime(*unhex(given["time"]))
    alert = Alert(
        alert_class=given["alert_class"],
        event_id=given["event_id"],
        time=time,
        log_sequence=given["log_sequence"],
        argument=unhex(given["argument"]),
    )
    cipher = cipher_of(given)
    assert alert.encode().hex() == wanted["plaintext"]
    frame = cipher.seal_alert(alert.encode(), given["actr"])
    assert frame.hex() == wanted["frame"]
    assert cipher.open_alert(frame) == alert.encode()
    assert laid_out(AlertFrame, frame).actr == given["actr"]


def test_the_update_of_a_broadcast_key() -> None:
    given, wanted = VECTORS["key-update-broadcast-key"]
    parameters = laid_out(KeyUpdate, unhex(given["params"]))
    plaintext = key_update_order(parameters, given["psn"])
    assert plaintext.hex() == wanted["request_plaintext"]
    cipher = cipher_of(given)
    frame = cipher.seal_request(plaintext, given["seq"])
    assert (frame.hex(), cipher.seal_response(b"\0", frame).hex()) == (wanted["request"], wanted["response"])


def test_the_update_of_a_umk_is_wrapped_and_has_a_token() -> None:
    given, wanted = VECTORS["key-update-umk-wrapped-with-token"]
    kek, umk, kcrit = (Key(unhex(given[name])) for name in ("kek", "new_umk", "kcrit"))
    assert wrap_key(kek, umk).hex() == wanted["wrapped"]
    assert unwrap_key(kek, unhex(wanted["wrapped"])) == umk
    nd = unhex(given["nd"])
    plaintext = procedure_with_token(
        kcrit, nd, given["procedure"], given["psn"], unhex(given["params"]), given["token_counter"], PROFILE
    )
    assert plaintext.hex() == wanted["request_plaintext"]
    assert plaintext.endswith(unhex(wanted["token"]))
    cipher = cipher_of(given)
    frame = cipher.seal_request(plaintext, given["seq"])
    assert (frame.hex(), cipher.seal_response(b"\0", frame).hex()) == (wanted["request"], wanted["response"])


def test_the_token_of_a_switch_of_code_banks() -> None:
    given, wanted = VECTORS["token-code-bank-switch"]
    covered = given["procedure"].to_bytes(2, "little") + unhex(given["params"])
    made = token(Key(unhex(given["kcrit"])), unhex(given["nd"]), covered, given["token_counter"], PROFILE)
    assert made.hex() == wanted["token"]
    assert laid_out(SwitchBank, unhex(given["params"])).length == 224
    assert cipher_of(given).seal_request(unhex(wanted["request_plaintext"]), given["seq"]).hex() == wanted["request"]


def test_the_token_of_a_table_write() -> None:
    given, wanted = VECTORS["token-table-write-security-mode"]
    bare = (
        unhex("4f")
        + given["table"].to_bytes(2, "big")
        + given["offset"].to_bytes(3, "big")
        + unhex("0001" + given["data"])
    )
    made = write_with_token(Key(unhex(given["kcrit"])), unhex(given["nd"]), bare, given["token_counter"], PROFILE)
    assert made.hex() == wanted["request_plaintext"]
    assert cipher_of(given).seal_request(made, given["seq"]).hex() == wanted["request"]
    found = critical(made)
    assert found is not None
    assert (found.bare, found.token.hex()) == (bare, wanted["token"])


def test_the_firmware_image() -> None:
    given, wanted = VECTORS["firmware-image-mac"]
    signing = Ed25519PrivateKey.from_private_bytes(unhex(given["ed25519_seed"]))
    built = image.build(unhex(given["code"]), given["hardware_id"], given["version"], given["key_id"], signing)
    assert built.hex() == wanted["image"]
    kfw = Key(unhex(given["kfw"]))
    assert image.image_mac(kfw, built).hex() == wanted["image_mac"]
    announced = image.announce(built, given["image_id"])
    assert announced.encode().hex() == wanted["announce_params"]
    assert laid_out(Announcement, announced.encode()).blocks == wanted["blocks"]
    assert image.block(built, wanted["blocks"] - 1).hex() == wanted["last_block_data"]
    assert signing.public_key().public_bytes_raw().hex() == wanted["ed25519_public"]


# ---- refusals and the controls beside them -------------------------------------------------------------------------
RECEIVERS = {name: given["receiver"] for name, (given, _) in VECTORS.items() if "receiver" in given}


def by(receiver: str, has: str = "frame") -> pytest.MarkDecorator:
    names = [name for name, one in RECEIVERS.items() if one == receiver and has in VECTORS[name][0]]
    assert names
    return pytest.mark.parametrize("name", names)


def holds(verdict: Verdict, wanted: Given) -> None:
    """The verdict is what the vector wants: accepted with this plaintext, or refused for this reason with this answer."""
    if wanted["accepted"]:
        assert isinstance(verdict, Accepted)
        assert verdict.plaintext.hex() == wanted.get("plaintext", "")
    elif wanted["answer"] is None:
        assert verdict == Refused(wanted["refusal"])
    else:
        assert verdict == Answered(unhex(wanted["answer"]), wanted["refusal"])


@by("device", has="nd")
def test_a_device_on_requests(name: str) -> None:
    given, wanted = VECTORS[name]
    memory = RamMemory()
    device = a_device(memory, policy=KNOWN)
    address = Address(unhex(given["domain"]), given["subnet"], given["node"])
    first, *more = given["keys"]
    device.install(
        a_set(
            address=address, ku=Key(unhex(first["ku"])), ku_generation=first["generation"], first_seq=given["last"] + 1
        )
    )
    memory.save({"ectr": stored(given["last_ectr"] + 1)})
    device = a_device(memory, policy=KNOWN)
    for other in more:
        device._pending = a_set(address=address, ku=Key(unhex(other["ku"])), ku_generation=other["generation"])
        device._make_ciphers()
    holds(device.receive(unhex(given["frame"]), How.REQUEST_BY_ID, 5.0), wanted)


@by("device", has="groups")
def test_a_device_on_broadcasts(name: str) -> None:
    given, wanted = VECTORS[name]
    device = a_device(policy=KNOWN, groups=lambda: given["groups"])
    first = given["keys"][0]
    device.install(
        a_set(
            concentrator_id=unhex(given["nc"]),
            address=Address(unhex(given["domain"]), 2, 2),
            kb=Key(unhex(first["kb"])),
            kb_generation=first["generation"],
            b=given["b"],
            d=given["d"],
        )
    )
    device._bctr.last = given["last"]
    holds(device.receive(unhex(given["frame"]), How.UNANSWERED, 5.0), wanted)


@by("concentrator", has="frame")
def test_a_concentrator_on_answers_and_alerts(name: str) -> None:
    given, wanted = VECTORS[name]
    peer = PeerSecurity(unhex(given["nd"]), Key(unhex(given["ku"])), 1, ND, RamMemory(), randomness=random_of())
    address = Address(unhex(given["domain"]), given["subnet"], given["node"])
    peer._set = a_set(ku=Key(unhex(given["ku"])), ku_generation=given["ku_generation"], address=address)
    peer._make_ciphers()
    if "last_actr" in given:
        peer._actr[0].last = given["last_actr"]
        holds(peer.open_alert(unhex(given["frame"])), wanted)
        return
    peer.open_request, peer._open_cipher = unhex(given["open_request"]), peer._sealing
    holds(peer.open(unhex(given["frame"]), 0.0), wanted)


@by("device-challenge")
def test_a_device_on_challenges(name: str) -> None:
    given, wanted = VECTORS[name]
    device = a_device(umk=Key(unhex(given["umk"])), policy=KNOWN)
    device.epoch = given["stored_epoch"]
    holds(device.receive(unhex(given["frame"]), How.REQUEST_BY_ID, 0.0), wanted)


@by("concentrator-reply")
def test_a_concentrator_on_replies(name: str) -> None:
    given, wanted = VECTORS[name]
    sent = Challenge.decode(unhex(given["sent_challenge"]))
    handshake = PeerHandshake(unhex(given["nd"]), sent.concentrator_id, random_of(sent.rc.hex()), PROFILE)
    handshake.challenge(
        Terms(Address(b"OSG", 2, 2), Key(bytes(16)), 1, 0, 0), Key(unhex(given["psk"])), sent.epoch, 0.0
    )
    assert handshake._open is not None
    handshake._open.challenge = unhex(given["sent_challenge"])
    holds(handshake.reply(unhex(given["frame"]), 0, 0.0), wanted)


@by("device-commission")
def test_a_device_on_commission_messages(name: str) -> None:
    given, wanted = VECTORS[name]
    reply = ChallengeReply.decode(unhex(given["reply"]))
    umk = Key(unhex(VECTORS["kdf-chain-device-1"][0]["umk"]))
    device = a_device(umk=umk, policy=KNOWN)
    device._handshake._randomness = random_of(reply.rd.hex())
    if reply.generation:
        device.install(a_set(ku_generation=reply.generation))
    answered = device.receive(unhex(given["challenge"]), How.REQUEST_BY_ID, 0.0)
    assert answered == Answered(unhex(given["reply"]), "handshake")
    holds(device.receive(unhex(given["frame"]), How.REQUEST_BY_ID, 0.0), wanted)


@by("device-token", has="plaintext")
def test_a_device_on_tokens(name: str) -> None:
    given, wanted = VECTORS[name]
    nd = unhex(given["nd"])
    device = a_device(
        nd=nd, umk=Key(unhex(VECTORS[f"kdf-chain-device-{1 if nd == ND else 2}"][0]["umk"])), policy=KNOWN
    )
    assert device._keys().kcrit == Key(unhex(given["kcrit"]))
    device._token = given["stored_token_counter"]
    bare, denied = device.authorise(unhex(given["plaintext"]), 0.0)
    if wanted["accepted"]:
        assert denied is None
        order = procedure_of(bare)
        assert order is not None
        assert (order.number, order.psn) == (2058, 0x38)
        assert SwitchBank.decode(order.parameters).length == 224
        return
    assert denied == Denied(wanted["refusal"], procedure=2058, psn=0x38, result=wanted["procedure_result"])


@by("device-key-update", has="plaintext")
def test_a_device_on_key_updates(name: str) -> None:
    given, wanted = VECTORS[name]
    device = a_device(policy=KNOWN)
    device.install(a_set(kb_generation=given["current_kb_generation"]))
    order = procedure_of(unhex(given["plaintext"]))
    assert order is not None
    assert device.update_key(order.parameters, 0.0) == wanted["refusal"]


def test_no_vector_is_left_out() -> None:
    used = ("kdf", "handshake", "sequence-error", "broadcast-", "alert-", "key-update", "token-", "firmware")
    elsewhere = {"atm-hash"}  # discovery is the node's
    left = {
        name
        for name, (given, wanted) in VECTORS.items()
        if not name.startswith(used) and name not in RECEIVERS and "response" not in wanted and name not in elsewhere
    }
    assert not left
