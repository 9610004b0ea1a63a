"""Every kernel alone: any size, any alignment, nothing outside its arrays, the ABI kept."""

import ctypes
import mmap
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nndbg.reference.random import splitmix64

UNIT = 2.0**-24
PAGE = mmap.PAGESIZE
NO_ACCESS = 0  # PROT_NONE
ISAS = ("sse2", "avx2", "avx512")
MODULES = (
    "scale_pixels",
    "dense",
    "dense_sparse",
    "relu",
    "softmax",
    "loss",
    "dense_grad_weight",
    "dense_grad_bias",
    "dense_grad_input",
    "dropout_mask",
    "dropout",
    "weight_decay",
    "sgd",
    "sgd_momentum",
    "dense_grad_weight_sgd",
)
HELPERS = (
    *("product_avx2", "product_avx512", "transpose_avx2", "exp_row_avx2", "exp_row_avx512"),
    *("row_max", "exp", "log", "cpu", "random"),
)
# What /proc/cpuinfo calls the features that each set of kernels needs.
FLAGS = {
    "sse2": {"sse2"},
    "avx2": {"avx", "fma", "avx2", "bmi1", "bmi2"},
    "avx512": {"avx512f", "avx512dq", "avx512bw", "avx512vl"},
}
SIZES = [
    (1, 1, 1),
    (2, 3, 5),
    (3, 4, 8),
    (4, 5, 9),
    (5, 8, 10),
    (7, 9, 31),
    (32, 64, 10),
    (8, 33, 17),
    (9, 70, 130),
    (65, 17, 129),
    (130, 35, 64),
    (64, 130, 70),
    (63, 16, 144),
    (256, 6, 33),
]


def gamma(terms: int) -> float:
    return terms * UNIT / (1 - terms * UNIT)


class Fenced:
    """An array that ends at a page which no process may touch, or begins right behind one."""

    def __init__(self, array: np.ndarray, at_end: bool) -> None:
        self.size = array.nbytes
        pages = -(-self.size // PAGE) + 2
        self.memory = mmap.mmap(-1, pages * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        libc = ctypes.CDLL(None, use_errno=True)
        for fence in (base, base + (pages - 1) * PAGE):
            assert libc.mprotect(ctypes.c_void_p(fence), PAGE, NO_ACCESS) == 0
        self.offset = (pages - 1) * PAGE - self.size if at_end else PAGE
        self.address = base + self.offset
        view = np.frombuffer(self.memory, np.uint8)
        view[PAGE : (pages - 1) * PAGE] = 0xA5
        self.inside = view[PAGE : (pages - 1) * PAGE]
        self.array = np.frombuffer(self.memory, array.dtype, array.size, self.offset)
        self.array = self.array.reshape(array.shape)
        self.array[...] = array

    def rest_is_untouched(self) -> bool:
        begin = self.offset - PAGE
        rest = np.delete(self.inside, np.s_[begin : begin + self.size])
        return bool((rest == 0xA5).all())


@pytest.fixture(scope="module")
def kernels(root: Path, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The sources of the kernels, assembled as the program's are, as a library."""
    for tool in ("nasm", "gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    directory = tmp_path_factory.mktemp("kernels")
    names = [*HELPERS, *(f"{module}_{isa}" for module in MODULES for isa in ISAS)]
    sources = [root / "asm" / f"{name}.asm" for name in names]
    objects = []
    for source in [*sources, Path(__file__).with_name("checked_call.asm")]:
        objects.append(directory / f"{source.stem}.o")
        subprocess.run(
            ["nasm", "-f", "elf64", "-I", f"{root}/asm/include/", "-o", objects[-1], source],
            check=True,
            timeout=60,
        )
    library = directory / "kernels.so"
    # -Bsymbolic: the kernels call each other without going through a table of the linker
    subprocess.run(
        ["gcc", "-shared", "-nostdlib", "-Wl,-Bsymbolic", "-o", library, *objects],
        check=True,
        timeout=60,
    )
    return ctypes.CDLL(str(library))


def features() -> set[str]:
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    assert flags is not None
    return set(flags[1].split())


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    if missing := FLAGS[request.param] - features():
        pytest.skip(f"this processor has no {', '.join(sorted(missing))}")
    return request.param


@pytest.fixture
def call(kernels: ctypes.CDLL, isa: str):
    """Calls a kernel with arrays that are fenced on one side; returns the arrays after it."""
    checked = kernels.checked_call
    checked.restype = ctypes.c_uint64
    checked.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float, ctypes.c_float]

    def call(
        name: str, *args, number: float = 0.0, second: float = 0.0, at_end: bool = True
    ) -> list[np.ndarray]:
        fenced = [Fenced(arg, at_end) if isinstance(arg, np.ndarray) else arg for arg in args]
        values = [arg.address if isinstance(arg, Fenced) else arg for arg in fenced]
        unused = [0xDEADBEEFDEADBEEF] * (7 - len(values))
        words = (ctypes.c_uint64 * 8)(*values, *unused, ISAS.index(isa))
        kernel = ctypes.cast(getattr(kernels, f"{name}_{isa}"), ctypes.c_void_p)
        broken = checked(kernel, words, number, second)
        assert broken == 0, "a register that the ABI protects was lost"
        arrays = [arg for arg in fenced if isinstance(arg, Fenced)]
        assert all(array.rest_is_untouched() for array in arrays)
        return [array.array.copy() for array in arrays]

    return call


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def unwritten(*shape: int) -> np.ndarray:
    return np.full(shape, np.nan, np.float32)


def within(actual: np.ndarray, expected: np.ndarray, bound: np.ndarray) -> bool:
    return bool((np.abs(actual - expected) <= bound).all())


every_size = pytest.mark.parametrize("size", SIZES, ids=lambda s: "x".join(map(str, s)))
both_ends = pytest.mark.parametrize("at_end", [True, False], ids=["fence behind", "fence before"])


def sparse(random: np.random.Generator, rows: int, inputs: int, filling: str) -> np.ndarray:
    """An input of a layer, with zeros in the places that the filling names."""
    x = normal(random, rows, inputs)
    if filling == "as in an image":
        x *= random.random((rows, inputs)) < 0.2
    elif filling == "zero":
        x[...] = 0
    elif filling == "minus zero":
        x[...] = -0.0
    elif filling == "one number":
        only = x[-1, -1]
        x[...] = 0
        x[-1, -1] = only
    elif filling == "columns of zeros":
        x[:, ::2] = 0
    else:
        assert filling == "dense"
    return x


every_filling = pytest.mark.parametrize(
    "filling",
    ["dense", "as in an image", "zero", "minus zero", "one number", "columns of zeros"],
)


def check_dense(call, random, name, x, outputs, at_end):
    rows, inputs = x.shape
    W, b = normal(random, inputs, outputs), normal(random, outputs)
    *after, z = call(name, x, W, b, unwritten(rows, outputs), rows, inputs, outputs, at_end=at_end)
    assert all((a == before).all() for a, before in zip(after, (x, W, b), strict=True))
    x, W, b = (a.astype(float) for a in (x, W, b))
    assert within(z, x @ W + b, gamma(inputs + 1) * (abs(x) @ abs(W) + abs(b)))


@every_size
@both_ends
def test_dense_is_x_W_plus_b(call, random, size, at_end):
    rows, inputs, outputs = size
    check_dense(call, random, "dense", normal(random, rows, inputs), outputs, at_end)


@every_size
@every_filling
@both_ends
def test_dense_sparse_is_x_W_plus_b(call, random, size, filling, at_end):
    rows, inputs, outputs = size
    x = sparse(random, rows, inputs, filling)
    check_dense(call, random, "dense_sparse", x, outputs, at_end)


def test_dense_sparse_leaves_out_no_nan(call, random):
    x = sparse(random, 5, 150, "as in an image")
    x[3, 149] = x[4, 70] = np.nan
    W, b = normal(random, 150, 131), normal(random, 131)
    *_, z = call("dense_sparse", x, W, b, unwritten(5, 131), 5, 150, 131)
    np.testing.assert_array_equal(np.isnan(z).all(axis=1), np.isnan(x).any(axis=1))
    assert np.isfinite(z[:3]).all()


@every_size
@both_ends
def test_dense_grad_weight_is_the_transposed_x_times_grad(call, random, size, at_end):
    rows, inputs, outputs = size
    x, grad = normal(random, rows, inputs), normal(random, rows, outputs)
    dW = unwritten(inputs, outputs)
    *_, dW = call("dense_grad_weight", x, grad, dW, rows, inputs, outputs, at_end=at_end)
    x, grad = x.astype(float), grad.astype(float)
    assert within(dW, x.T @ grad, gamma(rows + 1) * (abs(x).T @ abs(grad)))


@every_size
@every_filling
@both_ends
def test_dense_grad_weight_sgd_takes_the_gradient_off(call, random, size, filling, at_end):
    rows, inputs, outputs = size
    x, grad = sparse(random, rows, inputs, filling), normal(random, rows, outputs)
    before, rate = normal(random, inputs, outputs), float(np.float32(0.3))
    *same, W = call(
        *("dense_grad_weight_sgd", x, grad, before, rows, inputs, outputs),
        number=rate,
        at_end=at_end,
    )
    assert all((a == b).all() for a, b in zip(same, (x, grad), strict=True))
    unlit = (x == 0).all(axis=0)
    assert (W[unlit] == before[unlit]).all()
    x, grad, before = (a.astype(float) for a in (x, grad, before))
    change = rate * (abs(x).T @ abs(grad))
    assert within(W, before - rate * (x.T @ grad), gamma(rows + 2) * change + UNIT * abs(W))


def test_dense_grad_weight_sgd_leaves_out_no_nan(call, random):
    x, grad, W = sparse(random, 70, 20, "as in an image"), normal(random, 70, 3), np.ones((20, 3))
    x[69, 19] = x[2, 5] = np.nan
    *_, W = call("dense_grad_weight_sgd", x, grad, W.astype(np.float32), 70, 20, 3, number=1.0)
    np.testing.assert_array_equal(np.isnan(W).all(axis=1), np.isnan(x).any(axis=0))


@every_size
@both_ends
def test_dense_grad_bias_is_the_sum_of_grad(call, random, size, at_end):
    rows, _, outputs = size
    grad = normal(random, rows, outputs)
    *_, db = call("dense_grad_bias", grad, unwritten(outputs), rows, outputs, at_end=at_end)
    grad = grad.astype(float)
    assert within(db, grad.sum(axis=0), gamma(rows) * abs(grad).sum(axis=0))


@every_size
@both_ends
def test_dense_grad_input_is_grad_times_the_transposed_W(call, random, size, at_end):
    rows, inputs, outputs = size
    grad, W = normal(random, rows, outputs), normal(random, inputs, outputs)
    dx = unwritten(rows, inputs)
    *_, dx = call("dense_grad_input", grad, W, dx, rows, inputs, outputs, at_end=at_end)
    grad, W = grad.astype(float), W.astype(float)
    assert within(dx, grad @ W.T, gamma(outputs + 1) * (abs(grad) @ abs(W).T))


@pytest.mark.parametrize("count", [256, 1, 7, 8, 9, 15, 16, 17, 255])
@both_ends
def test_every_pixel_becomes_the_float_that_a_division_gives(call, count, at_end):
    pixels = np.arange(count, dtype=np.uint8)[::-1].copy()
    _, x = call("scale_pixels", pixels, unwritten(count), count, at_end=at_end)
    np.testing.assert_array_equal(x, pixels.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 1025])
@both_ends
def test_elementwise_kernels_are_exact(call, random, count, at_end):
    z, grad, w = (normal(random, count + 1)[:count] for _ in range(3))
    z[: count // 3] = 0
    assert (call("relu", z, unwritten(count), count, at_end=at_end)[-1] == np.maximum(z, 0)).all()
    *_, dz = call("relu_grad", grad, z, unwritten(count), count, at_end=at_end)
    assert (dz == np.where(z > 0, grad, 0)).all()
    rate = np.float32(0.3)
    after, _ = call("sgd", w, grad, count, number=float(rate), at_end=at_end)
    assert (after == w - rate * grad).all()


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 1025])
@both_ends
def test_momentum_decay_and_dropout_are_exact(call, random, count, at_end):
    w, grad, velocity = (normal(random, count + 1)[:count] for _ in range(3))
    rate, momentum = np.float32(0.3), np.float32(0.9)
    after, same, v = call(
        *("sgd_momentum", w, grad, velocity, count),
        number=float(rate),
        second=float(momentum),
        at_end=at_end,
    )
    assert (same == grad).all()
    assert (v == momentum * velocity + grad).all()
    assert (after == w - rate * v).all()

    decay = np.float32(1e-2)
    after, same = call("weight_decay", grad, w, count, number=float(decay), at_end=at_end)
    assert (same == w).all()
    assert (after == grad + decay * w).all()

    mask = np.where(random.random(count) < 0.5, 0, 2).astype(np.float32)
    after, same = call("dropout", w, mask, count, at_end=at_end)
    assert (same == mask).all()
    assert (after == w * mask).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 4099])
@pytest.mark.parametrize("rate", [0.0, 2.0**-24, 0.2, 0.5, 1 - 2.0**-24])
@pytest.mark.parametrize("seed", [0, 12345, 2**64 - 1])
def test_masks_are_those_of_the_reference_draw_for_draw(call, count, rate, seed):
    rate, state = np.float32(rate), np.array([seed], np.uint64)
    drawn, after = call("dropout_mask", unwritten(count), state, count, number=float(rate))
    bits, expected = splitmix64(seed, count)
    kept = (bits >> np.uint64(40)) * 2.0**-24 >= rate
    scale = np.float32(1) / (np.float32(1) - rate)
    np.testing.assert_array_equal(drawn, np.where(kept, scale, np.float32(0)))
    assert after[0] == expected


@pytest.mark.parametrize("place", range(21))
def test_relu_lets_a_nan_through(call, place):
    z = np.tile(np.array([1, -1, 2], np.float32), 7)
    z[place] = np.nan
    _, h = call("relu", z, unwritten(21), 21)
    np.testing.assert_array_equal(h, np.where(np.isnan(z), np.nan, np.maximum(z, 0)))


@pytest.mark.parametrize("classes", [1, 2, 8, 10, 13, 16, 17, 40])
@pytest.mark.parametrize("scale", [1, 30, 3000])
@both_ends
def test_softmax_and_loss_hold_for_any_size_of_z(call, random, classes, scale, at_end):
    rows = 5
    z = normal(random, rows, classes) * np.float32(scale)
    y = random.integers(0, classes, rows).astype(np.uint8)
    shifted = z.astype(float) - z.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    expected = e / e.sum(axis=1, keepdims=True)
    _, p = call("softmax", z, unwritten(rows, classes), rows, classes, at_end=at_end)
    # the rounded difference in the exponent, the exp, the sum, the division; then underflow
    bound = expected * gamma(2 * (4 + classes)) * (1 + abs(shifted)) + 2.0**-149
    assert within(p, expected, bound)

    *_, loss = call("cross_entropy", z, y, unwritten(1), rows, classes, at_end=at_end)
    each = np.log(e.sum(axis=1)) - shifted[np.arange(rows), y]
    terms = np.log(e.sum(axis=1)) + abs(shifted[np.arange(rows), y]) + 1
    assert abs(loss[0] - each.mean()) <= gamma(classes + rows + 8) * terms.mean()

    *_, grad = call("cross_entropy_grad", p, y, unwritten(rows, classes), rows, classes)
    onehot = np.eye(classes, dtype=np.float32)[y]
    assert (grad == (p - onehot) / np.float32(rows)).all()


@pytest.mark.parametrize("name", ["exp_f32", "log_f32"])
def test_exp_and_log_are_within_one_unit_in_the_last_place(kernels, name):
    function = getattr(kernels, name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    exact = {"exp_f32": np.exp, "log_f32": np.log}[name]
    least = {"exp_f32": 0xC2D00000, "log_f32": 0x7F7FFFFF}[name]  # -104, the largest float
    bits = np.concatenate(
        [np.arange(0, 0x42B17000, 54_323), np.arange(0x80000000, least, 54_323)]
        if name == "exp_f32"
        else [np.arange(1, least, 54_323)]
    )
    for x in bits.astype(np.uint32).view(np.float32):
        expected = exact(np.float64(x))
        last_place = np.spacing(np.float32(abs(expected)))
        assert abs(function(x) - expected) <= 0.51 * last_place, float(x).hex()


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp_f32", 0.0, 1.0),
        ("exp_f32", -0.0, 1.0),
        ("exp_f32", 1e30, np.inf),
        ("exp_f32", np.inf, np.inf),
        ("exp_f32", -1e30, 0.0),
        ("exp_f32", -np.inf, 0.0),
        ("exp_f32", np.nan, np.nan),
        ("log_f32", 1.0, 0.0),
        ("log_f32", 0.0, -np.inf),
        ("log_f32", -0.0, -np.inf),
        ("log_f32", -1.0, np.nan),
        ("log_f32", -np.inf, np.nan),
        ("log_f32", np.inf, np.inf),
        ("log_f32", np.nan, np.nan),
    ],
)
def test_exp_and_log_know_the_numbers_that_are_none(kernels, name, x, expected):
    function = getattr(kernels, name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    np.testing.assert_array_equal(function(x), expected)


@pytest.mark.parametrize("place", range(10))
def test_softmax_and_loss_swallow_no_nan(call, random, place):
    z, y = normal(random, 3, 10), np.zeros(3, np.uint8)
    z[1, place] = np.nan
    _, p = call("softmax", z, unwritten(3, 10), 3, 10)
    assert np.isnan(p[1]).all()
    assert np.isfinite(p[[0, 2]]).all()
    *_, loss = call("cross_entropy", z, y, unwritten(1), 3, 10)
    assert np.isnan(loss[0])


@pytest.mark.parametrize("avx", ["avx2", "avx512"])
def test_exp_of_a_row_is_within_one_unit_in_the_last_place(kernels: ctypes.CDLL, avx: str):
    if FLAGS[avx] - features():
        pytest.skip(f"this processor has no {avx}")
    z = np.linspace(-103, 0, 100_003, dtype=np.float32)
    e = np.empty_like(z)
    address = ctypes.c_void_p
    getattr(kernels, f"exp_row_{avx}")(
        address(z.ctypes.data), address(e.ctypes.data), ctypes.c_int64(len(z))
    )
    expected = np.exp(z.astype(float))
    assert (abs(e - expected) <= 0.51 * np.spacing(expected.astype(np.float32))).all()


def test_every_kernel_of_the_table_is_tested_here(root: Path):
    table = (root / "asm" / "kernels.asm").read_text()
    table = table[table.index("chosen:") : table.index("KERNELS  ")]
    names = re.findall(r"^    KERNEL  (\w+)", table, flags=re.MULTILINE)
    assert "dense_sparse" in names
    here = Path(__file__).read_text()
    assert [name for name in names if f'"{name}"' not in here] == []


def test_the_best_instruction_set_is_the_one_that_the_system_names(kernels: ctypes.CDLL):
    has = [isa for isa in ISAS if FLAGS[isa] <= features()]
    assert ISAS[kernels.cpu_isa()] == has[-1]


@pytest.mark.parametrize(
    ("fault", "code", "bit"),
    [
        ("clobbers_rbx", b"\x31\xdb\xc3", 0),  # xor ebx, ebx; ret
        ("clobbers_r15", b"\x4d\x31\xff\xc3", 5),  # xor r15, r15; ret
        ("leaves_the_direction_flag", b"\xfd\xc3", 7),  # std; ret
        ("overwrites_the_stack", b"\x48\xc7\x44\x24\x10\x00\x00\x00\x00\xc3", 8),  # mov [rsp+16], 0
        ("forgets_vzeroupper", b"\xc3", 9),
        ("keeps_the_rules", b"\xc5\xf8\x77\xc3", None),  # vzeroupper; ret
    ],
)
def test_the_checked_call_sees(kernels: ctypes.CDLL, fault: str, code: bytes, bit: int | None):
    memory = mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    checked = kernels.checked_call
    checked.restype = ctypes.c_uint64
    checked.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float, ctypes.c_float]
    level = 1 if fault == "forgets_vzeroupper" or bit is None else 0
    if level and FLAGS["avx2"] - features():
        pytest.skip("this processor has no AVX2")
    broken = checked(address, (ctypes.c_uint64 * 8)(*[0] * 7, level), 0.0, 0.0)
    assert broken == (0 if bit is None else 1 << bit), fault
