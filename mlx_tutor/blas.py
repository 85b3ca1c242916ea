"""A fast BLAS for MLX on a Linux CPU: found, put to use in the running process, and measured.

MLX's Linux wheel brings the reference BLAS, which multiplies about 30 times slower than OpenBLAS. MLX calls it through
jump slots (ELF's procedure linkage table), which hold the addresses of the functions; `use_openblas` writes OpenBLAS's
there. Unlike LD_PRELOAD this needs no second start, reaches no child process, and works with the package
scipy-openblas32, whose functions have another name (scipy_cblas_sgemm).

Source: System V Application Binary Interface, "Dynamic Linking"; glibc's <link.h> and <dlfcn.h>.
"""

import ctypes
import math
import os
import sys
import time
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "scipy_openblas32"
# By its soname: the loader knows where each distribution installs it.
SYSTEM = "libopenblas.so.0"
PREFIXES = ("scipy_", "")
PRODUCTS = ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm")
# Threads without work spin for 2^16 clock ticks before they sleep. OpenBLAS's own 2^26, 25 ms, take the cores away from
# everything else: beside other programs, products then took four to ten times as long.
SPIN = "16"
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

# Tags of a dynamic section; the relocation type of a jump slot on x86_64 and on aarch64; bytes of table entries.
PLTRELSZ, STRTAB, SYMTAB, JMPREL, BIND_NOW, FLAGS, FLAGS_1 = 2, 5, 6, 23, 24, 30, 0x6FFFFFFB
JUMP_SLOT = (7, 1026)
ENTRY = 24
LINK_MAP = 2
# Of mallopt.
TRIM_THRESHOLD, MMAP_MAX = -1, -4


class LinkMap(ctypes.Structure):
    """A library as the loader describes it: what its addresses count from, and where its dynamic section is."""

    _fields_ = (("base", ctypes.c_size_t), ("name", ctypes.c_char_p), ("dynamic", ctypes.c_size_t))


class DlInfo(ctypes.Structure):
    """Dl_info of the C library: the file at an address, and fields that are not read here."""

    _fields_ = (("path", ctypes.c_char_p), ("rest", ctypes.c_size_t * 3))


@cache
def use_openblas() -> None:
    """Let MLX on a Linux CPU multiply with OpenBLAS where there is one, and let glibc keep the memory of large arrays.

    MLX_TUTOR_BLAS names another library with the functions of CBLAS, or none of them (`off`).
    """
    if not is_linux_cpu():
        return
    keep_memory()
    slots = find_slots()
    # A preloaded library is the user's choice.
    library = None if hasattr(ctypes.CDLL(None), PRODUCTS[0]) else load_openblas()
    if library is not None and slots:
        limit_threads(library)
        for name, slot in slots.items():
            write_word(slot, find_address(library, name))


def is_linux_cpu() -> bool:
    """Whether MLX computes on a CPU under Linux, as it does with CBLAS."""
    import mlx.core as mx

    return sys.platform == "linux" and bool(mx.default_device() == mx.Device(mx.cpu))


def find_blas() -> str:
    """The BLAS library that MLX uses."""
    if sys.platform == "darwin":
        return "Accelerate"
    slots = find_slots()
    if not slots:
        return "unknown"
    place = DlInfo()
    ctypes.CDLL(None).dladdr(ctypes.c_void_p(read_word(slots[PRODUCTS[0]])), ctypes.byref(place))
    return str(Path(os.fsdecode(place.path)).resolve()) if place.path else "unknown"


def find_slow_blas() -> str:
    """A hint where MLX uses the slow reference BLAS of its wheel; else ""."""
    use_openblas()
    if not is_linux_cpu() or Path(find_blas()).parent.name != "mlx_cpu.libs":
        return ""
    return (
        "MLX multiplies matrices with its own reference BLAS, some 30 times slower than with OpenBLAS. Install that "
        f"beside it: {sys.executable} -m pip install {PACKAGE.replace('_', '-')} "
        "(or for all programs, on Debian and Ubuntu: apt install libopenblas0-pthread)"
    )


def measure_gflops() -> float:
    """Billions of float32 operations a second in products of two square matrices: the best within half a second."""
    import mlx.core as mx

    size = 512
    factors = mx.random.normal((2, size, size))
    mx.eval(factors)
    best, end = math.inf, time.perf_counter() + 0.5
    while (begun := time.perf_counter()) < end:
        mx.eval(factors[0] @ factors[1])
        best = min(best, time.perf_counter() - begun)
    return 2e-9 * size**3 / best


def list_libraries() -> list[str]:
    """What MLX_TUTOR_BLAS names; else the OpenBLAS of this Python's environment, then that of the system."""
    if chosen := os.environ.get("MLX_TUTOR_BLAS"):
        return [chosen]
    spec = find_spec(PACKAGE)
    packaged = Path(spec.origin).parent.glob("lib/libscipy_openblas*.so") if spec and spec.origin else ()
    return [*map(str, packaged), SYSTEM]


def load_openblas() -> ctypes.CDLL | None:
    """The first library that is there, whole, and has the products."""
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", SPIN)
    for name in list_libraries():
        with suppress(OSError):
            library = ctypes.CDLL(name)
            if all(find_address(library, product) for product in PRODUCTS):
                return library
    return None


def limit_threads(library: ctypes.CDLL) -> None:
    """No more threads than a container's share of the processors; OpenBLAS sees processors and its own variables."""
    set_threads = find_address(library, "openblas_set_num_threads")
    if not set_threads or {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & set(os.environ):
        return
    # "max" where there is no limit.
    with suppress(OSError, ValueError):
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        cores = min(math.ceil(int(quota) / int(period)), len(os.sched_getaffinity(0)))
        ctypes.CFUNCTYPE(None, ctypes.c_int)(set_threads)(cores)


def keep_memory() -> None:
    """Let glibc keep freed memory of arrays: memory from the system costs a page fault for every page."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(MMAP_MAX, 0)
        libc.mallopt(TRIM_THRESHOLD, -1)


def find_slots() -> dict[str, int]:
    """Addresses of the jump slots of MLX's matrix products, by function; none where there are no writable ones."""
    import mlx.core as mx

    try:
        library = ctypes.CDLL(str(Path(mx.__file__).parent / "lib" / "libmlx.so"), mode=os.RTLD_NOLOAD)
    except OSError:
        return {}
    found = ctypes.POINTER(LinkMap)()
    libc = ctypes.CDLL(None)
    if libc.dlinfo(ctypes.c_void_p(library._handle), LINK_MAP, ctypes.byref(found)):
        return {}
    base, entries, place = found[0].base, {}, found[0].dynamic
    while tag := read_word(place):
        entries[tag] = read_word(place + 8)
        place += 16
    # In a library linked for immediate binding the slots are read-only.
    if BIND_NOW in entries or entries.get(FLAGS, 0) & 8 or entries.get(FLAGS_1, 0) & 1:
        return {}
    slots = {}
    # glibc has added the base to the addresses in the dynamic section.
    for entry in range(entries[JMPREL], entries[JMPREL] + entries[PLTRELSZ], ENTRY):
        kind, symbol = read_word(entry + 8) & 0xFFFFFFFF, read_word(entry + 8) >> 32
        name = read_word(entries[SYMTAB] + ENTRY * symbol) & 0xFFFFFFFF
        slots[ctypes.string_at(entries[STRTAB] + name).decode()] = (base + read_word(entry)) * (kind in JUMP_SLOT)
    return {name: slots[name] for name in PRODUCTS if slots.get(name)}


def find_address(library: ctypes.CDLL, name: str) -> int:
    """The address of a function of an OpenBLAS, whatever its prefix; 0: not found."""
    functions = [getattr(library, prefix + name) for prefix in PREFIXES if hasattr(library, prefix + name)]
    return ctypes.cast(functions[0], ctypes.c_void_p).value or 0 if functions else 0


def read_word(address: int) -> int:
    """The 64 bits at an address."""
    return ctypes.c_uint64.from_address(address).value


def write_word(address: int, value: int) -> None:
    """Write 64 bits at an address."""
    ctypes.c_uint64.from_address(address).value = value
