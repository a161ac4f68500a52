"""``kernels/src/onnxruntime_abi.h``: places and sizes are those of ONNX Runtime's own header."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "kernels" / "src"

pytestmark = pytest.mark.platforms


def test_the_declarations_are_those_of_the_official_header(tmp_path: Path) -> None:
    include = os.environ.get("ONNXRUNTIME_INCLUDE")
    if not include:
        build = [sys.executable, str(ROOT / "examples" / "c" / "build.py"), "-o", str(tmp_path)]
        subprocess.run(build, check=True, timeout=500)
        include = str(tmp_path / "include")
    header = (SOURCES / "onnxruntime_abi.h").read_text("utf-8")
    functions = re.findall(r"using (\w+) =\s+Function<", header)
    members = re.findall(r"ORT_CALL\* (\w+)\)\(", header.partition("struct CustomOp {")[2])
    assert len(functions) > 10
    assert len(members) == 25
    lines = ["#include <onnxruntime_c_api.h>", '#include "onnxruntime_abi.h"']
    for name in functions:
        place = f"offsetof(OrtApi, {name}) / sizeof(void*)"
        lines.append(f'static_assert(ort::{name}::place == {place}, "{name}");')
    for name in members:
        ours, theirs = f"offsetof(ort::CustomOp, {name})", f"offsetof(OrtCustomOp, {name})"
        lines.append(f'static_assert({ours} == {theirs}, "{name}");')
    (tmp_path / "check.cpp").write_text("\n".join(lines) + "\n")
    command = ["c++", "-std=c++17", "-fsyntax-only", f"-I{SOURCES}", f"-isystem{include}"]
    subprocess.run([*command, str(tmp_path / "check.cpp")], check=True, timeout=100)
