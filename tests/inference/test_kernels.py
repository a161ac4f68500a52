"""The kernels of ``hearaudiomlp-kernels`` against float64 and ONNX Runtime's own operators."""

import ctypes
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import librosa
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from scipy.special import erf

from hearaudiomlp import Model, load_model, selftest
from hearaudiomlp.errors import DeviceError, MissingPackageError, ModelFileError
from hearaudiomlp.inference import kernels
from hearaudiomlp.inference.session import Session
from hearaudiomlp.spec import ENCODERS
from hearaudiomlp.weights.model_file import read_model_file
from paths import ROOT

ISAS = ("avx512", "avx2", "neon", "plain")
FRAMES, WIDTH, HALF = 98, 64, 128
SHAPES = ((256, 64), (256,), (128,), (128,), (98, 98), (98,), (64, 128), (64,), (64,), (64,))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the kernels in it; skips where they can't be compiled."""
    if not (shutil.which("c++") and shutil.which("cmake")):
        pytest.skip("no C++ compiler or CMake for the kernels")
    folder = tmp_path_factory.mktemp("kernels")
    package = folder / "site" / kernels.PACKAGE
    configure = ["cmake", "-S", ROOT / "kernels", "-B", folder / "build"]
    install = ["cmake", "--install", folder / "build", "--prefix", package.parent]
    for command in (configure, ["cmake", "--build", folder / "build"], install):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
    shutil.copy(ROOT / "kernels" / kernels.PACKAGE / "__init__.py", package)
    return package.parent


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where packages are looked for."""
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    monkeypatch.syspath_prepend(site)
    return site


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, installed: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernels of each instruction set that this processor has."""
    monkeypatch.setenv(kernels.VARIABLE, request.param)
    try:
        found = kernels.find_kernels()
    except DeviceError:
        pytest.skip(f"this processor has no {request.param}")
    assert found.isa == request.param
    return found.isa


def block_weights(seed: int) -> list[npt.NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    made = []
    for index, shape in enumerate(SHAPES):
        values = random.standard_normal(shape) / (shape[1] if len(shape) == 2 else 25) ** 0.5
        made.append((values + (index in (2, 8))).astype(np.float32))
    return made


def layer_norm(x: npt.NDArray[np.float64], weight: object, bias: object) -> npt.NDArray[np.float64]:
    centered = x - x.mean(-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def block_float64(
    x: npt.NDArray[np.float64], weights: list[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float64]:
    """One block as the paper has it; x is [98 x 64]."""
    w_in, b_in, g_scale, g_bias, w_t, b_t, w_out, b_out, n_scale, n_bias = (
        values.astype(np.float64) for values in weights
    )
    u = x @ w_in.T + b_in
    u *= 0.5 * (1 + erf(u / np.sqrt(2)))
    gate = w_t @ layer_norm(u[:, HALF:], g_scale, g_bias) + b_t[:, None]
    return x + layer_norm((u[:, :HALF] * gate) @ w_out.T + b_out, n_scale, n_bias)


def run_library(
    site: Path,
    operator: str,
    isa: str,
    *,
    x: npt.NDArray[np.float32],
    blocks: Sequence[Sequence[npt.NDArray[np.float32]]],
    windows: int,
    shape: tuple[int, ...],
) -> npt.NDArray[np.float32]:
    """Run an operator without ONNX Runtime; return its result of a shape."""
    [path] = (site / kernels.PACKAGE).glob("*hearaudiomlp_kernels.*")
    run = ctypes.CDLL(str(path)).hearaudiomlp_kernels_run
    run.restype = ctypes.c_bool
    tensors = [np.ascontiguousarray(values) for block in blocks for values in block]
    pointers = (ctypes.c_void_p * len(tensors))(*(values.ctypes.data for values in tensors))
    x, y = np.ascontiguousarray(x), np.empty(shape, np.float32)
    sizes = (ctypes.c_size_t(len(blocks)), ctypes.c_size_t(windows))
    at = [ctypes.c_void_p(array.ctypes.data) for array in (x, y)]
    assert run(operator.encode(), isa.encode(), pointers, *sizes, *at)
    return y


def run_blocks(
    site: Path, isa: str, x: npt.NDArray[np.float32], blocks: list[list[npt.NDArray[np.float32]]]
) -> npt.NDArray[np.float32]:
    """Run blocks on x [98 x n x 64]."""
    return run_library(
        site, kernels.BLOCKS, isa, x=x, blocks=blocks, windows=x.shape[1], shape=x.shape
    )


def test_blocks_equal_float64(site: Path, isa: str) -> None:
    x = np.random.default_rng(0).standard_normal((FRAMES, 2, WIDTH)).astype(np.float32)
    blocks = [block_weights(seed) for seed in range(3)]
    found = run_blocks(site, isa, x, blocks)
    for window in range(2):
        expected = x[:, window].astype(np.float64)
        for weights in blocks:
            expected = block_float64(expected, weights)
        assert np.abs(found[:, window] - expected).max() <= 2e-6 * np.abs(expected).max()


def test_gelu_is_exact_far_from_zero_and_near(site: Path, isa: str) -> None:
    # All that is left of a block is x + LayerNorm(GELU(x), 16, -16 ...), which is nearly linear.
    weights = [np.zeros(shape, np.float32) for shape in SHAPES]
    weights[0][0, 0] = weights[6][0, 0] = 1  # in, out
    weights[5][:] = 1  # the gate is 1
    weights[7][2:] = np.resize([16, -16], WIDTH - 2)
    weights[8][:] = 16  # the last LayerNorm's scale
    x = np.zeros((FRAMES, 23, WIDTH), np.float32)
    x[..., 0] = np.linspace(-9, 9, FRAMES * 23).reshape(FRAMES, 23)
    found = run_blocks(site, isa, x, [weights])
    for window in range(23):
        expected = block_float64(x[:, window].astype(np.float64), weights)
        assert np.abs(found[:, window] - expected).max() <= 5e-6


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_mel_power_spectrum_is_that_of_librosa(site: Path, isa: str, count: int, noise) -> None:
    initializers = onnx.load(ROOT / "onnx_models" / "kwmlp.onnx").graph.initializer
    tensors = {one.name: onnx.numpy_helper.to_array(one) for one in initializers}
    weights = [tensors[name] for name in ("hann", "dft_inner", "dft_outer", "mel")]
    # One sample aside: arrays of callers begin at any multiple of four bytes.
    windows = noise(1 + count * 16_000)[1:].reshape(count, 16_000)
    found = run_library(
        site, kernels.POWER_MEL, isa,
        x=windows, blocks=[weights], windows=count, shape=(count, FRAMES, 40),
    )  # fmt: skip
    for window, mel in zip(windows, found, strict=True):
        expected = librosa.feature.melspectrogram(
            y=window.astype(np.float64), sr=16_000, n_fft=480, hop_length=160, center=False,
            n_mels=40,
        ).T  # fmt: skip
        assert np.abs(mel / expected - 1).max() < 1e-5


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_model_computes_the_same_as_without(isa: str, name: str, checkpoints, noise) -> None:
    fused = load_model(checkpoints[name], device="cpu")
    standard = load_model(checkpoints[name], device="cpu", kernels=False)
    assert (fused.kernels, standard.kernels) == (isa, None)
    windows = noise(3, 16_000)
    expected, found = standard.encode(windows), fused.encode(windows)
    for output, values in expected.items():
        assert np.abs(found[output] - values).max() <= 1e-5 * max(1, np.abs(values).max())


@pytest.mark.parametrize("name", list(ENCODERS))
def test_the_self_test_passes(isa: str, name: str) -> None:
    finding = selftest.check(name, device="cpu")
    assert finding.kernels == isa
    assert finding.error < 5e-6


def test_bits_do_not_depend_on_the_block_or_thread(isa: str, checkpoints, noise) -> None:
    model = load_model(checkpoints["kwmlp"], device="cpu")
    windows = noise(9, 16_000)
    whole = model.encode(windows)["frame_embeddings"]

    def compute(edges: tuple[int, int]) -> npt.NDArray[np.float32]:
        return model.encode(windows[slice(*edges)])["frame_embeddings"]

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(compute, [(0, 1), (1, 3), (3, 6), (6, 9)]))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_no_windows_are_no_windows(installed: Path, checkpoints) -> None:
    model = load_model(checkpoints["kwmlp"], device="cpu", kernels=True)
    assert model.encode(np.empty((0, 16_000), np.float32))["frame_embeddings"].shape == (0, 98, 64)


@pytest.mark.parametrize(
    "file", ["kwmlp.onnx", "audiomae.onnx", "kwmlp-pipeline.onnx", "audiomae-pipeline-float16.onnx"]
)
def test_exported_files_use_them(installed: Path, file: str, noise) -> None:
    fused = load_model(ROOT / "onnx_models" / file, device="cpu", kernels=True)
    standard = load_model(ROOT / "onnx_models" / file, device="cpu", kernels=False)
    assert fused.outline().operators == standard.outline().operators  # the file's, not the variant
    assert fused.graph_sha256 == standard.graph_sha256
    audio = noise(1, 20_000)
    expected = standard.scene_embeddings(audio)
    difference = np.abs(fused.scene_embeddings(audio) - expected).max()
    assert 0 < difference <= 1e-5 * max(1, np.abs(expected).max())


def test_a_model_takes_its_option_along(installed: Path, checkpoints) -> None:
    for wanted in (True, False, None):
        model: Model = load_model(checkpoints["kwmlp"], device="cpu", kernels=wanted)
        copies = (pickle.loads(pickle.dumps(model)), model.with_threads(1))
        assert [copy.kernels for copy in copies] == [model.kernels] * 2


def test_they_can_be_turned_off(installed: Path, checkpoints, monkeypatch) -> None:
    assert load_model(checkpoints["audiomae"], device="cpu").kernels
    assert load_model(checkpoints["audiomae"], device="cpu", kernels=False).kernels is None
    monkeypatch.setenv(kernels.VARIABLE, "0")
    assert load_model(checkpoints["audiomae"], device="cpu").kernels is None
    with pytest.raises(DeviceError, match="turned off by HEARAUDIOMLP_KERNELS=0"):
        load_model(checkpoints["audiomae"], device="cpu", kernels=True)
    monkeypatch.setenv(kernels.VARIABLE, "altivec")
    assert load_model(checkpoints["audiomae"], device="cpu").kernels is None
    with pytest.raises(DeviceError, match="no altivec kernels for this processor"):
        load_model(checkpoints["audiomae"], device="cpu", kernels=True)


def test_without_the_package_everything_is_as_before(checkpoints, monkeypatch) -> None:
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    elsewhere = [path for path in sys.path if not Path(path, kernels.PACKAGE).exists()]
    monkeypatch.setattr(sys, "path", elsewhere)
    assert load_model(checkpoints["audiomae"], device="cpu").kernels is None
    with pytest.raises(MissingPackageError, match=r"hearaudiomlp\[fast\]"):
        load_model(checkpoints["audiomae"], device="cpu", kernels=True)


def test_the_current_folder_is_no_place_to_load_a_library_from(site: Path, tmp_path: Path) -> None:
    shutil.copytree(site / kernels.PACKAGE, tmp_path / kernels.PACKAGE)
    (tmp_path / "where.py").write_text(
        "from hearaudiomlp.inference.kernels import find_kernels\n"
        "try: print(find_kernels().library)\n"
        "except Exception as problem: print(problem)\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path[1:]])

    def where(folder: Path, *start: str) -> str:
        return subprocess.run(
            [sys.executable, *start],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, kernels.VARIABLE: ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert str(tmp_path) in where(ROOT, "-m", "where")
    assert str(tmp_path) not in where(tmp_path, "-m", "where")
    assert str(tmp_path) not in where(tmp_path, "-c", "import where")


def test_a_damaged_library_is_not_used(installed: Path, tmp_path, checkpoints, monkeypatch) -> None:
    package = tmp_path / kernels.PACKAGE
    shutil.copytree(installed / kernels.PACKAGE, package)
    [library] = package.glob("*hearaudiomlp_kernels.*")
    library.write_bytes(b"no library")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_model(checkpoints["audiomae"], device="cpu").kernels is None
    with pytest.raises(DeviceError, match="can't be loaded"):
        load_model(checkpoints["audiomae"], device="cpu", kernels=True)


def test_constants_that_an_operator_takes_for_granted(installed: Path, tmp_path, noise) -> None:
    """Another shape or bound inside a stretch is another computation."""
    windows = noise(2, 16_000)
    tried = 0
    packaged = onnx.load(ROOT / "onnx_models" / "audiomae.onnx").graph.initializer
    for number, tensor in enumerate(packaged):
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.int64:
            continue
        for changed in (values[::-1], values // 2, values - 1, values + 1):
            model = onnx.load(ROOT / "onnx_models" / "audiomae.onnx")
            new = onnx.numpy_helper.from_array(np.ascontiguousarray(changed), tensor.name)
            model.graph.initializer[number].CopyFrom(new)
            onnx.save(model, tmp_path / "x.onnx")
            try:
                fused = load_model(tmp_path / "x.onnx", device="cpu")
            except ModelFileError:
                continue
            standard = load_model(tmp_path / "x.onnx", device="cpu", kernels=False)
            expected = standard.encode(windows)["frame_embeddings"]
            found = fused.encode(windows)["frame_embeddings"]
            assert np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
            tried += 1
    assert tried > 10


def graph_of(
    operator: str,
    inputs: tuple[int, ...],
    shapes: Sequence[tuple[int, ...]],
    *,
    constant: bool = True,
) -> bytes:
    """A graph of an operator alone, which takes what nobody has checked."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    tensors = [
        onnx.numpy_helper.from_array(np.zeros(shape, np.float32), f"w{i}")
        for i, shape in enumerate(shapes)
    ]
    names = [tensor.name for tensor in tensors]
    if not constant:
        names[3] = "x"
    node = helper.make_node(operator, ["x", *names], ["y"], domain=kernels.DOMAIN)
    x = helper.make_tensor_value_info("x", float32, inputs)
    y = helper.make_tensor_value_info("y", float32, None)
    graph = helper.make_graph([node], "alone", [x], [y], tensors)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(kernels.DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return model.SerializeToString()


def open_operator(graph: bytes):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.register_custom_ops_library(kernels.find_kernels().library)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("operator", "shape", "shapes", "result"),
    [
        (kernels.BLOCKS, (98, 64), SHAPES, (98, 64)),
        (kernels.POWER_MEL, (1, 16_000), ((480, 1), (12, 12), (6, 80, 80), (240, 40)), (98, 40)),
    ],
)
def test_an_operator_checks_what_it_gets(
    installed: Path,
    operator: str,
    shape: tuple[int, ...],
    shapes: tuple[tuple[int, ...], ...],
    result: tuple[int, ...],
) -> None:
    for graph, reason in (
        (graph_of(operator, shape, ((128, 64), *shapes[1:])), "another size"),
        (graph_of(operator, shape, shapes, constant=False), "constants"),
        (graph_of(operator, shape, [*shapes, (1,)]), "number of tensors"),
    ):
        with pytest.raises(Exception, match=reason):
            open_operator(graph)
    for inputs in ((*shape, 1), shape[:1], (shape[0], shape[1] - 1)):
        session = open_operator(graph_of(operator, inputs, shapes))
        with pytest.raises(Exception, match="another shape"):
            session.run(None, {"x": np.zeros(inputs, np.float32)})
    session = open_operator(graph_of(operator, shape, shapes))
    assert session.run(None, {"x": np.ones(shape, np.float32)})[0].shape == result


def test_blocks_take_whole_windows(installed: Path) -> None:
    session = open_operator(graph_of(kernels.BLOCKS, (97, 64), SHAPES))
    with pytest.raises(Exception, match="another shape"):
        session.run(None, {"x": np.zeros((97, 64), np.float32)})
    session = open_operator(graph_of(kernels.BLOCKS, (196, 64), 3 * SHAPES))
    np.testing.assert_array_equal(session.run(None, {"x": np.ones((196, 64), np.float32)})[0], 1)


@pytest.mark.parametrize("operator", ["Gelu", "Concat"])  # of the blocks, of the front end
def test_other_graphs_stay_as_they_are(installed: Path, operator: str) -> None:
    model = onnx.load(ROOT / "onnx_models" / "kwmlp.onnx")
    inside = next(node for node in model.graph.node if node.op_type == operator)
    value = onnx.helper.make_tensor_value_info(inside.output[0], 1, None)
    model.graph.output.append(value)  # what the kernels keep to themselves
    graph = model.SerializeToString()
    assert kernels.fuse_graph(graph) is None
    assert inside.output[0] in Session(graph, {}, device="cpu").outputs
    with pytest.raises(DeviceError, match="this graph has others"):
        Session(graph, {}, device="cpu", kernels=True)
    del model.graph.output[-1]
    assert kernels.fuse_graph(model.SerializeToString()) is not None
    inside.doc_string = "another"
    assert kernels.fuse_graph(model.SerializeToString()) is None
    del model.metadata_props[:]  # as in a graph that is being exported
    assert kernels.fuse_graph(model.SerializeToString()) is None


def test_a_fused_graph_is_a_valid_one_with_the_same_weights(installed: Path) -> None:
    data = (ROOT / "onnx_models" / "kwmlp.onnx").read_bytes()
    fused = kernels.fuse_graph(read_model_file(data).graph)
    assert fused is not None
    before, after = onnx.load_from_string(data).graph, onnx.load_from_string(fused).graph
    assert list(after.initializer) == list(before.initializer)
    assert (list(after.input), list(after.output)) == (list(before.input), list(before.output))
    assert [node.op_type for node in after.node if node.domain] == [
        kernels.POWER_MEL,
        kernels.BLOCKS,
    ]
    assert after.node[-1] == before.node[-1]
