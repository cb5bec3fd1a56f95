// Weights of 4 bits: few rows times them, output[r, o] = bias[o] + sum over k of rows[r, k] * weight[o, k], summed in
// float32; and for many rows the weight itself, written out.
//
// Of a product, a block makes 16 outputs of up to ROWS rows. Its warps share the columns, and add up at the end what
// they have. Every code is read once, becomes a bfloat16 in a register and goes into the tensor cores: the outputs are
// the tall side of an m16n8k16 product, 8 rows its narrow side. In which order columns are summed does not matter, as
// long as weights and rows agree. So lane 4 g + t takes, of outputs g and g + 8 and of row g, the columns 8 t to
// 8 t + 7 of every 32, 16 bytes of a row, where the product has them two by two: `linear.tile_layout` keeps the codes
// in that order. The scales that a lane takes of 128 columns lie side by side.
//
// Whoever compiles this defines BF16; ROWS, 8 or 16; and GROUP: how many columns share a scale, 32, 64, 128 or 256.

#include "tensor_cores.cuh"

typedef unsigned short bfloat16;

#define OUTPUTS 16
#define MOST_WARPS 16
#define TILES (ROWS / 8)
#if GROUP < 128
#define SCALES (128 / GROUP)  // of a piece
#define PIECES 1              // that share theirs
#else
#define SCALES 1
#define PIECES (GROUP / 128)
#endif

typedef u32 Scales[SCALES];  // each a bfloat16 scale and, above it, the value of code 8

// What a lane sums up, of each tile of 8 rows: outputs g and g + 8 of rows 2 t and 2 t + 1.
typedef float Sums[TILES][4];

__device__ __forceinline__ bfloat16 rounded(float value) {
    bfloat16 near;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(near) : "f"(value));
    return near;
}

// Of two bfloat16 each: a * b + c, rounded once.
__device__ __forceinline__ u32 multiply_add(u32 a, u32 b, u32 c) {
    u32 sum;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
    return sum;
}

// Two codes, 16 bits apart, as two numbers: (code - 8) * scale + zero, rounded once.
__device__ __forceinline__ u32 unpacked(u32 codes, u32 scale, u32 zero) {
    u32 shifted = (codes & 0x000F000F) | 0x43004300;  // the code in the last bits of 128 is 128 + code
    u32 steps = multiply_add(shifted, 0x3F803F80, 0xC308C308);  // * 1 - 136
    return multiply_add(steps, scale, zero);
}

// What output `g` of a tile of 8 takes of a piece. scales: [outputs / 8, columns / 128 / PIECES, 8, SCALES].
__device__ __forceinline__ void load(Scales& own, const u32* scales, size_t tile, int pieces, int piece, int g) {
    const u32* from = scales + ((tile * (pieces / PIECES) + piece / PIECES) * 8 + g) * SCALES;
#if SCALES == 4
    uint4 of = streamed((const uint4*)from);
    own[0] = of.x, own[1] = of.y, own[2] = of.z, own[3] = of.w;
#elif SCALES == 2
    uint2 of = streamed((const uint2*)from);
    own[0] = of.x, own[1] = of.y;
#else
    own[0] = streamed(from);
#endif
}

// What the warps have, added up, and the bias where there is one. Neighbouring threads write neighbouring outputs.
__device__ __forceinline__ void store(const Sums& sums, const bfloat16* bias, bfloat16* output, int count, int outputs) {
    extern __shared__ float shared[];  // [warp][of a lane][lane]
    int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES, warps = blockDim.x / LANES;
    for (int tile = 0; tile < TILES; ++tile)
        for (int i = 0; i < 4; ++i) shared[((warp * TILES + tile) * 4 + i) * LANES + lane] = sums[tile][i];
    __syncthreads();
    for (int place = threadIdx.x; place < count * OUTPUTS; place += blockDim.x) {
        int row = place / OUTPUTS, out = place % OUTPUTS;
        int from = (row / 8 * 4 + out / 8 * 2 + row % 2) * LANES + out % 8 * 4 + row % 8 / 2;
        float total = bias ? __int_as_float((u32)__ldg(bias + out) << 16) : 0;
        for (int of = 0; of < warps; ++of) total += shared[of * TILES * 4 * LANES + from];
        output[(size_t)row * outputs + out] = rounded(total);
    }
}

// rows: bfloat16 [all_rows, columns]. packed: [outputs / 8, columns / 128, 32 lanes], 32 codes each. bias: [outputs],
// or null.
// Grid: [tiles of ROWS rows, outputs / 16]; the tiles of the same weights run side by side, and share the L2 cache.
extern "C" __global__ void __launch_bounds__(MOST_WARPS * LANES)
int4_product(const uint4* __restrict__ rows, const uint4* __restrict__ packed, const u32* __restrict__ scales,
             const bfloat16* __restrict__ bias, bfloat16* __restrict__ output, int all_rows, int outputs, int columns) {
    int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES, warps = blockDim.x / LANES;
    int g = lane / 4, t = lane % 4;
    int eights = columns / 8, pieces = columns / 128;
    int first_row = blockIdx.x * ROWS, count = min(ROWS, all_rows - first_row);
    const uint4* low_codes = packed + (size_t)blockIdx.y * 2 * pieces * LANES + lane;
    const uint4* high_codes = low_codes + (size_t)pieces * LANES;
    const uint4* own_row[TILES];  // a row that is not there: another, whose outputs are not stored
    for (int tile = 0; tile < TILES; ++tile)
        own_row[tile] = rows + (size_t)(first_row + min(tile * 8 + g, count - 1)) * eights + t;
    Sums sums = {};
    for (int piece = warp; piece < pieces; piece += warps) {
        uint4 low = streamed(low_codes + (size_t)piece * LANES), high = streamed(high_codes + (size_t)piece * LANES);
        Scales low_scales, high_scales;
        load(low_scales, scales, blockIdx.y * 2, pieces, piece, g);
        load(high_scales, scales, blockIdx.y * 2 + 1, pieces, piece, g);
        __syncwarp();  // else the compiler loads each when it is wanted, one after the other
        u32 of_low[4] = {low.x, low.y, low.z, low.w}, of_high[4] = {high.x, high.y, high.z, high.w};
        #pragma unroll
        for (int part = 0; part < 4; ++part) {
            u32 scale = low_scales[part * SCALES / 4], high_scale = high_scales[part * SCALES / 4], a[4], b[4];
            #pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                a[pair] = unpacked(of_low[part] >> 4 * pair, __byte_perm(scale, 0, 0x1010),
                                   __byte_perm(scale, 0, 0x3232));
                b[pair] = unpacked(of_high[part] >> 4 * pair, __byte_perm(high_scale, 0, 0x1010),
                                   __byte_perm(high_scale, 0, 0x3232));
            }
            #pragma unroll
            for (int tile = 0; tile < TILES; ++tile) {
                uint4 x = __ldg(own_row[tile] + piece * 16 + part * 4);
                multiply(sums[tile], a[0], b[0], a[1], b[1], x.x, x.y);
                multiply(sums[tile], a[2], b[2], a[3], b[3], x.z, x.w);
            }
        }
    }
    int first_output = blockIdx.y * OUTPUTS;
    store(sums, bias ? bias + first_output : bias, output + (size_t)first_row * outputs + first_output, count, outputs);
}

// The weight itself, bfloat16 [outputs, columns]: a warp for each tile of 8 outputs and 128 columns.
extern "C" __global__ void __launch_bounds__(MOST_WARPS * LANES)
int4_unpacked(const uint4* __restrict__ packed, const u32* __restrict__ scales, uint4* __restrict__ weight, int outputs, int columns) {
    int lane = threadIdx.x % LANES, g = lane / 4, t = lane % 4, pieces = columns / 128;
    size_t tile = (size_t)blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES;  // of 128 columns
    if (tile >= (size_t)outputs / 8 * pieces) return;
    int piece = tile % pieces;
    size_t eight = tile / pieces;
    uint4 packed_codes = streamed(packed + tile * LANES + lane);
    u32 codes[4] = {packed_codes.x, packed_codes.y, packed_codes.z, packed_codes.w};
    Scales own_scales;
    load(own_scales, scales, eight, pieces, piece, g);
    uint4* own = weight + ((eight * 8 + g) * columns + piece * 128) / 8 + t;
    #pragma unroll
    for (int part = 0; part < 4; ++part) {
        u32 both = own_scales[part * SCALES / 4];
        u32 scale = __byte_perm(both, 0, 0x1010), zero = __byte_perm(both, 0, 0x3232);
        own[part * 4] = make_uint4(unpacked(codes[part], scale, zero), unpacked(codes[part] >> 4, scale, zero),
                                   unpacked(codes[part] >> 8, scale, zero), unpacked(codes[part] >> 12, scale, zero));
    }
}
