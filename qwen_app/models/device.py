"""What the model can run on: the CUDA cards of this machine, its CPU, or a card that is only imagined."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qwen_app.models.container import main_memory

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

# What CUDA itself takes on a card before the first tensor: driver context and kernels.
CUDA_CONTEXT_BYTES = 500_000_000
CARDS = (Path("/dev/nvidia0"), Path("/dev/dxg"))  # there where a machine has an NVIDIA card; the second on WSL
DRIVER = Path("/proc/driver/nvidia/version")
OLDEST_DRIVER = {"12": 525, "13": 580}  # of a CUDA release, as NVIDIA's table of minor version compatibility says
NO_CARD_TO_SEE = "No CUDA GPUs are available"  # torch's words where CUDA_VISIBLE_DEVICES hides every card
AMPERE = (8, 0)  # compute capability
TRIED_BYTES = 32 * 2**20  # so much has a segment of its own
# In what torch and safetensors say where there is no memory: on a card, on a CPU, for cuBLAS, from the system.
NO_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "Cannot allocate memory")
ARCHITECTURE = re.compile(r"(sm|compute)_(\d{1,3})(\d)[af]?")  # of torch's list: machine code, or what drivers compile


@dataclass(frozen=True, slots=True)
class Device:
    """Memory to plan for, in bytes; of several cards, all together. ``free_bytes`` may still be used.

    ``ampere``: all cards are of that generation or newer, which flash attention, BF16 and torch's 4-bit kernel want.
    ``problem``: why a card that the machine has is not the device. ``first`` is the first of several cards by itself.
    """

    kind: Literal["cuda", "cpu"]
    name: str
    total_bytes: int
    free_bytes: int
    cards: int = 1
    ampere: bool = True
    problem: str = ""
    first: Device | None = None

    @property
    def one(self) -> Device:
        """What takes one card is planned for: the first, or the only one."""
        return self.first or self

    @property
    def parts(self) -> tuple[Device, ...]:
        """What may take a model, the faster first: one of several cards, and all together."""
        return (self,) if self.first is None else (self.first, self)


def find_device() -> Device:
    """The CUDA cards where there are any, else the CPU with its main memory."""
    import torch

    if not torch.cuda.is_available():
        return _cpu(_unused_card())
    try:
        return _cards()
    except (RuntimeError, AssertionError) as refused:  # held by another process alone, or broken
        return _cpu(_said_of_cuda(refused))


def lacks_memory(error: BaseException) -> bool:
    """Whether ``error`` means that no memory was left, of whatever device."""
    return isinstance(error, MemoryError) or any(mark in str(error) for mark in NO_MEMORY)


def on_a_card() -> bool:
    """Whether models are computed on a card here."""
    return find_device().kind == "cuda"


def use_expandable_segments() -> None:
    """Let torch map a card's memory page by page from now on, where that works and the machine's owner chose nothing.

    Weights that are quantised on a card leave pieces of their float tensors between what stays: a gigabyte of a 7B
    model, by which a card that the plan finds large enough is too small. Raises nothing.
    """
    import torch

    if torch._C._accelerator_getAllocatorSettings():  # PYTORCH_ALLOC_CONF
        return
    torch._C._accelerator_setAllocatorSettings("expandable_segments:True")
    try:
        torch.empty(TRIED_BYTES, dtype=torch.uint8, device="cuda")
    except (RuntimeError, AssertionError) as refused:  # a driver or a shared card without virtual memory of its own
        torch._C._accelerator_setAllocatorSettings("expandable_segments:False")
        log.info("Memory of the card is taken in whole segments: %s", _first_sentence(refused))


def card_uuids(devices: Iterable[torch.device]) -> tuple[str, ...]:
    """The CUDA cards among ``devices``, each once, by the name that the driver has for it."""
    import torch

    indexes = sorted({device.index or 0 for device in devices if device.type == "cuda"})
    return tuple(f"GPU-{torch.cuda.get_device_properties(index).uuid}" for index in indexes)


def _cpu(problem: str) -> Device:
    memory = main_memory()
    return Device("cpu", "CPU", memory.total_bytes, memory.free_bytes, problem=problem)


def _cards() -> Device:
    """All cards that torch sees, the fastest first. Raises RuntimeError where one does not answer."""
    import torch

    each = [_card(index) for index in range(torch.cuda.device_count())]
    if len(each) == 1:
        return each[0]
    return Device(
        kind="cuda",
        name=f"{len(each)} x {each[0].name}",
        total_bytes=sum(card.total_bytes for card in each),
        free_bytes=sum(card.free_bytes for card in each),
        cards=len(each),
        ampere=all(card.ampere for card in each),
        first=each[0],
    )


def _card(index: int) -> Device:
    import torch

    name, capability = torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index)
    if not computes_on(capability, torch.cuda.get_arch_list()):
        has = f"{name} is of compute capability {'.'.join(map(str, capability))}"
        hidden = f"; CUDA_VISIBLE_DEVICES={','.join(map(str, range(index)))} leaves it out" if index else ""
        raise RuntimeError(f"{has}, which this PyTorch has no kernels for{hidden}")
    free_bytes, total_bytes = torch.cuda.mem_get_info(index)
    return Device("cuda", name, total_bytes, free_bytes, ampere=capability >= AMPERE)


def computes_on(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Whether a PyTorch with kernels for ``architectures`` computes on a card: code for its generation and not newer
    than it, or what a driver can compile. A PyTorch that names none is believed."""
    found = [ARCHITECTURE.fullmatch(name) for name in architectures]
    built = [(match[1], (int(match[2]), int(match[3]))) for match in found if match]
    return not built or any(
        newest <= capability and (kind == "compute" or newest[0] == capability[0]) for kind, newest in built
    )


def _unused_card() -> str:
    """Why the NVIDIA card of this machine does not compute; empty where it has none, or where it was hidden."""
    import torch

    if not any(path.exists() for path in CARDS):
        return ""
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} was built for the CPU alone: './start.sh setup' installs the one for CUDA"
    try:
        torch.cuda.init()
    except Exception as refused:  # torch has several kinds for a driver it cannot use
        return "" if _first_sentence(refused) == NO_CARD_TO_SEE else _said_of_cuda(refused)
    return _said_of_cuda(RuntimeError("it says nothing of why"))


def _first_sentence(refused: BaseException) -> str:
    return str(refused).partition("\n")[0].partition(". ")[0].rstrip(".")


def _said_of_cuda(refused: BaseException) -> str:
    """Why CUDA does not work, with what it would need."""
    import torch

    oldest = OLDEST_DRIVER.get((torch.version.cuda or "").partition(".")[0])
    needed = f", which needs driver {oldest} or newer" if oldest else ""
    used = f"driver {_driver_version()} and PyTorch {torch.__version__}"
    return f"CUDA does not work with {used}{needed} ({_first_sentence(refused)})"


def _driver_version() -> str:
    try:
        found = re.search(r"\d{1,9}\.\d{1,9}(\.\d{1,9})?", DRIVER.read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found.group() if found else "of unknown version"


def imagined_card(gpu_gb: float) -> Device:
    """A card of ``gpu_gb`` GB (10^9 bytes) that is otherwise unused."""
    total_bytes = int(gpu_gb * 1e9)
    return Device("cuda", f"a card of {gpu_gb:g} GB", total_bytes, max(0, total_bytes - CUDA_CONTEXT_BYTES))
