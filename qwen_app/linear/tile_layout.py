"""The order in which torch's 4-bit kernels keep their codes, packed and unpacked again.

The kernels read tiles, so the codes of a matrix do not lie row by row. Both orders are fixed permutations: unpacking is
a view, a shift and a transposition. torch has the operators that pack and none that unpack. The CPU's tile depends on
its vectors (AVX2: 32 rows, AVX512: 64), so it is found by packing a matrix that is known.
"""

from __future__ import annotations

from functools import cache

import torch

TILE_ROWS = (32, 64)
INNER_K_TILES = 8  # of 16 columns: what one thread of the CUDA kernel reads at a time; columns are multiples of 128


def padded_rows(rows: int) -> int:
    """``rows`` up to the next whole tile of every kernel."""
    return -(-rows // TILE_ROWS[-1]) * TILE_ROWS[-1]


def varied_codes(rows: int, columns: int) -> torch.Tensor:
    """Codes, uint8 ``[rows, columns]``, of which no two rows or columns are alike: a wrong order of any kind shows."""
    numbers = torch.Generator().manual_seed(0)
    return torch.randint(0, 16, (rows, columns), generator=numbers, dtype=torch.uint8)


@cache
def tile_of() -> int | None:
    """How many rows a tile of this CPU's kernel has; None where it packs in a way not known here."""
    codes = varied_codes(128, 32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.int(), 1)
    fitting = (rows for rows in TILE_ROWS if torch.equal(_unpacked(packed, 32, rows, torch.uint8), codes.t()))
    return next(fitting, None)


def unpacked_transposed(packed: torch.Tensor, columns: int, dtype: torch.dtype) -> torch.Tensor:
    """The codes of a CPU's packed matrix as ``[columns, rows]`` of ``dtype``. ``tile_of()`` must not be None."""
    tile_rows = tile_of()
    assert tile_rows is not None
    return _unpacked(packed, columns, tile_rows, dtype)


def _unpacked(packed: torch.Tensor, columns: int, tile_rows: int, dtype: torch.dtype) -> torch.Tensor:
    """In a tile, column by column, byte ``i`` holds row ``i`` in its low half and row ``tile_rows / 2 + i`` above."""
    tiles = packed.view(-1, columns, tile_rows // 2).transpose(0, 1)
    codes = torch.empty(columns, tiles.shape[1], 2, tile_rows // 2, dtype=dtype)
    codes[:, :, 0] = tiles & 15
    codes[:, :, 1] = tiles >> 4
    return codes.flatten(1)


@cache
def unpacks_on(device: torch.device) -> bool:
    """Whether what this card packs is unpacked as it was."""
    codes = varied_codes(64, 256).to(device)
    return torch.equal(unpacked_cuda(tiles_of_cuda(codes), 256), codes)


def tiles_of_cuda(codes: torch.Tensor) -> torch.Tensor:
    """``codes`` ``[rows, columns]`` in the tiles of ``_weight_int4pack_mm``, two to a byte, the first above; their
    columns as ``pairs_turned`` gives them."""
    turned = pairs_turned(codes)
    pairs = turned[:, ::2] << 4 | turned[:, 1::2]
    packed: torch.Tensor = torch.ops.aten._convert_weight_to_int4pack(pairs, INNER_K_TILES)
    return packed


def pairs_turned(columns: torch.Tensor) -> torch.Tensor:
    """``columns`` ``[rows, columns]`` with the 4 x 4 pairs of every 32 columns transposed; twice is as it was.

    The tile gives lane ``4 g + t`` the pairs ``t``, ``4 + t``, ``8 + t`` and ``12 + t`` of 32 columns. So turned these
    are columns that lie side by side, and a lane reads its part of an input in one piece: ``kernels.cuda.int4``.
    """
    turned: torch.Tensor = columns.unflatten(1, (-1, 4, 4, 2)).transpose(2, 3).flatten(1)
    return turned


def unpacked_cuda(packed: torch.Tensor, columns: int) -> torch.Tensor:
    """The codes, uint8 ``[rows, columns]``, of what ``tiles_of_cuda`` gave: int32 ``[rows / 8, columns / 128, 32, 4]``.

    The layout is that of the B operand of an m16n8k16 product: lane ``t`` holds row ``t / 4`` of its tile, and of each
    pair of 16-column tiles the columns ``2 (t % 4)`` and ``+ 8``, ``+ 16``, ``+ 24`` in its lower four nibbles, their
    right neighbours in the upper four.
    """
    bytes_ = packed.view(torch.uint8).unflatten(-1, (-1, 4))  # [.., pair of tiles, byte]
    nibbles = torch.stack((bytes_ & 15, bytes_ >> 4), -1)  # nibble 2 * byte + half of an int32
    row_tiles, column_tiles = packed.shape[:2]
    # [row tile, column tile, row, lane column, pair, neighbour, tile of the pair, eight of the tile]
    parts = nibbles.view(row_tiles, column_tiles, 8, 4, INNER_K_TILES // 2, 2, 2, 2)
    return pairs_turned(parts.permute(0, 2, 1, 4, 6, 7, 3, 5).reshape(row_tiles * 8, columns))
