import struct

import pytest

from checks.layers import BYTECODE, faults, machine_of, mebibytes
from tests.support.layers import elf

CHECKED, TIMESTAMP = (BYTECODE[:4] + bytes([flags, 0, 0, 0]) for flags in (0b11, 0))
PYTHON_3_12 = struct.pack("<H", 3531) + BYTECODE[2:]


@pytest.fixture
def layer(tmp_path):
    """Return a layer for arm64 without a fault."""
    package = tmp_path / "python" / "package"
    (package / "__pycache__").mkdir(parents=True)
    for name in ("__init__", "module"):
        (package / f"{name}.py").touch()
        (package / f"__pycache__/{name}.cpython-313.pyc").write_bytes(BYTECODE)
    for name in ("fast.cpython-313-aarch64-linux-gnu.so", "other.abi3.so", "lib.so.5"):
        (package / name).write_bytes(elf("arm64") + b"code")
    return tmp_path / "python"


def test_a_layer_like_those_of_the_build_has_no_fault(layer):
    assert faults(layer, "arm64") == []
    assert machine_of(layer) == "arm64"


def test_a_source_without_bytecode_is_named(layer):
    (layer / "package/__pycache__/module.cpython-313.pyc").unlink()
    assert faults(layer, "arm64") == ["package/module.py is not compiled"]


def test_bytecode_of_another_python_is_named(layer):
    (layer / "package/__pycache__/module.cpython-312.pyc").write_bytes(PYTHON_3_12)
    (fault,) = faults(layer, "arm64")
    assert fault.startswith("package/__pycache__/module.cpython-312.pyc has no source")


def test_bytecode_of_a_missing_source_is_named(layer):
    (layer / "package/module.py").unlink()
    (fault,) = faults(layer, "arm64")
    assert fault.startswith("package/__pycache__/module.cpython-313.pyc has no source")


@pytest.mark.parametrize("start", [CHECKED, TIMESTAMP, PYTHON_3_12, b""])
def test_bytecode_that_the_runtime_would_check_or_refuse_is_named(layer, start):
    path = layer / "package/__pycache__/module.cpython-313.pyc"
    path.write_bytes(start + bytes(100))
    (fault,) = faults(layer, "arm64")
    assert fault.endswith("is not unchecked bytecode of cpython-313")


def test_a_compiled_file_for_the_other_machine_is_named(layer):
    (layer / "package/lib.so.5").write_bytes(elf("x86_64"))
    assert faults(layer, "arm64") == ["package/lib.so.5 is for machine 62, not 183"]


def test_a_compiled_file_for_another_python_is_named(layer):
    (layer / "package/old.cpython-312-aarch64-linux-gnu.so").write_bytes(elf("arm64"))
    (fault,) = faults(layer, "arm64")
    assert fault.endswith("is for another Python than cpython-313")


def test_a_layer_that_is_too_large_is_reported(layer):
    assert mebibytes(layer) < 0.01
    with (layer / "large").open("wb") as file:
        file.truncate(57 * 2**20)  # a sparse file, which needs no disk space
    assert faults(layer, "arm64") == ["it has 57.0 MiB, more than 56"]


def test_a_layer_without_compiled_files_has_no_machine(tmp_path):
    assert machine_of(tmp_path) is None
