"""What Numba compiled is found again by the next process: nobody waits twice for the same code."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import numpy as np

import osgp
from osgp.plc.demodulate import receive_rows
from osgp.plc.modulate import modulate

AGAIN = """
import numpy as np
from osgp.plc import kernels
from osgp.plc.demodulate import receive_rows
receive_rows(np.zeros((1, 9000), np.float32))
print(len(kernels.search_rows.stats.cache_hits), len(kernels.search_rows.stats.cache_misses))
"""


def test_no_kernel_holds_another_in_its_closure() -> None:
    # The cache knows a kernel by what its closure holds, and a kernel has another name in each process.
    seen = 0
    for found in pkgutil.walk_packages(osgp.__path__, "osgp."):
        if "kernels" in found.name or found.name.startswith("osgp.analyse.lon"):
            for value in vars(importlib.import_module(found.name)).values():
                if hasattr(value, "py_func"):
                    seen += 1
                    held = [cell.cell_contents for cell in value.py_func.__closure__ or ()]
                    assert not [each for each in held if hasattr(each, "py_func")], f"{found.name}: {value}"
    assert seen > 50


def test_another_process_compiles_nothing_again() -> None:
    rows = receive_rows(np.pad(modulate(b"\x01" + bytes(5)), 3000)[None].astype(np.float32))
    assert rows.ok.all()
    done = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0"]
