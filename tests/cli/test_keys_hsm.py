"""``osgp keys --hsm`` against SoftHSM, each command its own process as at a terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from osgp.app.aes import device_keys, unwrap_key
from osgp.app.image import image_mac
from osgp.app.profile import OsgpProfile
from osgp.crypto.keys import Key

NODE = "050102030405"
UMK = bytes.fromhex("8f3a19c4d2075be6617f90a8bb43ce12")
PIN = "4711"
_RUN = "from osgp.cli.main import main; main()"
_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
MODULE = next((each for each in _MODULES if Path(each).is_file()), _MODULES[0])

_INSIDE = """
import sys, pkcs11
from pathlib import Path
from osgp.app.aes import psk_of
from osgp.app.profile import OsgpProfile
from osgp.app import token as tokens
from osgp.app.aes import device_keys
from osgp.crypto.keys import Key
from osgp.ports.vault_hsm import HsmKeys
from osgp.tables.table import extended
from osgp.wire.errors import StoreError

module, trail, umk, tokens_at = sys.argv[1], Path(sys.argv[2]), bytes.fromhex(sys.argv[3]), Path(sys.argv[4])
node, concentrator, profile = bytes.fromhex("050102030405"), bytes.fromhex("0a0b0c0d0e0f"), OsgpProfile()
keys = HsmKeys.open(module, "osgp", "4711", trail)
assert keys.psk(node, concentrator, 1) == psk_of(Key(umk), node, concentrator, 1, profile)
kcrit = device_keys(Key(umk), node, profile).kcrit
given = [keys.procedure_token(node, extended(2), bytes(2), 1e9) for _ in range(2)]
counters = [tokens.check(kcrit, node, extended(2).to_bytes(2, "little") + bytes(2), each, 0, profile) for each in given]
assert counters == [10**9, 10**9 + 1], counters
assert [each.what[:16] for each in keys.trail.verify()[-2:]] == ["token 1000000000", "token 1000000001"]
keys.rotate(node, 1e9)
found = list(keys._session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}))
assert len(found) == 3, found
for each in found:
    assert each[pkcs11.Attribute.SENSITIVE] and not each[pkcs11.Attribute.EXTRACTABLE]
    try:
        each[pkcs11.Attribute.VALUE]
    except pkcs11.exceptions.AttributeSensitive:
        continue
    raise SystemExit("a key came out")
import shutil
shutil.rmtree(tokens_at)
try:
    keys.psk(node, concentrator, 1)
except StoreError as error:
    print(error, error.hint)
else:
    raise SystemExit("the HSM is gone, and answers")
"""


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
    environ = {
        **os.environ,
        "SOFTHSM2_CONF": str(conf),
        "OSGP_HSM_PIN": PIN,
        "OSGP_VAULT": str(tmp_path / "vault.json"),
        "UMK": UMK.hex(),
    }
    tool = shutil.which("softhsm2-util")
    assert tool, "SoftHSM is not installed: run tools/system-packages"
    subprocess.run(
        [tool, "--init-token", "--free", "--label", "osgp", "--pin", PIN, "--so-pin", "08154711"],
        env=environ, check=True, capture_output=True,
    )  # fmt: skip
    return environ


def _osgp(site: dict[str, str], *words: str, status: int = 0, module: str = MODULE, token: str = "osgp") -> str:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, "keys", *words, "--hsm", module, "--token", token],
        env=site, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert PIN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else " ".join(done.stderr.split())


def _json(site: dict[str, str], *words: str) -> Any:
    return json.loads(_osgp(site, *words, "--json"))


def test_a_umk_lives_in_the_hsm_through_rotation_and_commitment(site: dict[str, str], tmp_path: Path) -> None:
    _osgp(site, "put", NODE, "UMK", "--key", "env:UMK")
    image = tmp_path / "image.bin"
    image.write_bytes(b"firmware" * 100)
    node, profile = bytes.fromhex(NODE), OsgpProfile()
    old = device_keys(Key(UMK), node, profile)
    assert _json(site, "image-mac", NODE, str(image))["mac"] == image_mac(old.kfw, image.read_bytes()).hex()
    made = _json(site, "rotate", NODE)
    new = unwrap_key(old.kek, bytes.fromhex(made["wrapped"]))
    assert new is not None
    assert _json(site, "list") == [{"name": NODE, "kinds": ["UMK", "UMK-NEXT"]}]
    assert _json(site, "committed", NODE, "2") == {"erased": True}
    mac = image_mac(device_keys(new, node, profile).kfw, image.read_bytes()).hex()
    assert _json(site, "image-mac", NODE, str(image))["mac"] == mac
    assert _json(site, "due") == []
    assert len(_json(site, "due", "--within", "2000")) == 1
    assert len(_json(site, "audit")) == 5
    trail = tmp_path / "hsm-osgp.audit"
    trail.write_text("".join(trail.read_text().splitlines(keepends=True)[:-1]))
    assert "cut off" in _osgp(site, "audit", status=1)


def test_no_umk_comes_out_and_an_hsm_that_goes_says_so(site: dict[str, str], tmp_path: Path) -> None:
    _osgp(site, "put", NODE, "UMK", "--key", "env:UMK")
    done = subprocess.run(
        [sys.executable, "-c", _INSIDE, MODULE, str(tmp_path / "hsm-osgp.audit"), UMK.hex(), str(tmp_path / "tokens")],
        env=site, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "HSM" in done.stdout


def test_what_is_wrong_is_said_to_people(site: dict[str, str], tmp_path: Path) -> None:
    assert "refuses the PIN" in _osgp({**site, "OSGP_HSM_PIN": "000000"}, "list", status=1)
    assert "no PKCS#11 module" in _osgp(site, "list", status=2, module=str(tmp_path / "none.so"))
    not_one = tmp_path / "text.so"
    not_one.write_text("no library")
    assert "does not load" in _osgp(site, "list", status=2, module=str(not_one))
    assert "no token" in _osgp(site, "list", status=2, token="other")
    assert "PIN" in _osgp({name: value for name, value in site.items() if name != "OSGP_HSM_PIN"}, "list", status=2)
    assert "no UMK" in _osgp(site, "rotate", NODE, status=1)
    assert "keeps UMKs" in _osgp(site, "put", "kitchen", "MAK", "--key", "env:UMK", status=2)
