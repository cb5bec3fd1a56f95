// Attention of one new token a row over the keys and values of its slot.
//
// Block (s, h, r) takes the s-th part of row r's keys for KV head h, and all query heads that share it: they are one
// side of m16n8k16 tensor core products, 8 keys or 16 values' dimensions the other. Its warps take 16 keys at a time,
// each with a running maximum and sum of its own, as in FlashAttention-2 (Dao, 2023). What warps have is added up in
// shared memory, what blocks have by the last of them to arrive, as in Flash-Decoding (Dao et al., 2023).
//
// In which order a product sums up does not matter, as long as both sides agree: a lane takes 8 dimensions that lie
// side by side, 16 bytes, where the product has them two by two. Lane 4 g + t holds query head g, keys g and g + 8 of
// 16, and of each 32 dimensions those from 8 t; and of the values the keys 2 t, 2 t + 1, 8 + 2 t, 9 + 2 t, and of each
// 64 dimensions those from 8 g. So the first product leaves its weights where the second wants them.
//
// Whoever compiles this defines BF16 or FP16, and DIM, 64 or 128.

#include "tensor_cores.cuh"

typedef unsigned short half_bits;

#define HEADS 8              // query heads of a KV head, at most
#define WARPS HEADS
#define KEYS 16              // that a warp takes at once
#define FEWEST_KEYS 128      // of a block: KEYS for each of its warps
#define KEY_PIECES (DIM / 32)
#define VALUE_PIECES (DIM / 64)
#define WORDS (DIM / 16)

__device__ __forceinline__ u32 rounded(float low, float high) {
    u32 both;
    asm("cvt.rn." KIND "x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

__device__ __forceinline__ float power_of_two(float exponent) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(exponent));
    return power;
}

__device__ __forceinline__ u32 word_of(const uint4& piece, int word) {
    return word == 0 ? piece.x : word == 1 ? piece.y : word == 2 ? piece.z : piece.w;
}

#define NOTHING __int_as_float(0xff800000)  // the maximum of no scores

// query, output: [rows, query_heads, DIM]. keys, values: [cells, kv_heads, DIM]. Row r sees the first used[r] cells
// from first_cells[r]. parts: float [rows * kv_heads, splits, HEADS, DIM], the sums of blocks; stats: [..., HEADS, 2],
// their maxima and sums of weights. arrived: [rows * kv_heads], 0 before and after. Grid: [splits, kv_heads, rows].
extern "C" __global__ void __launch_bounds__(WARPS * LANES)
decode_attention(const uint4* __restrict__ query, const uint4* __restrict__ keys, const uint4* __restrict__ values,
                 const int* __restrict__ first_cells, const int* __restrict__ used, float* parts, float* stats,
                 int* arrived, half_bits* __restrict__ output, int query_heads, int kv_heads, double scaling) {
    __shared__ float shared_sums[WARPS][HEADS][DIM];
    __shared__ float shared_maxima[WARPS][HEADS], shared_weights[WARPS][HEADS];
    __shared__ int is_last;
    int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES, g = lane / 4, t = lane % 4;
    int split = blockIdx.x, splits = gridDim.x, kv_head = blockIdx.y, row = blockIdx.z;
    int group = query_heads / kv_heads, length = used[row];
    int each = max(FEWEST_KEYS, (length + splits * KEYS - 1) / (splits * KEYS) * KEYS);
    int begin = split * each, end = min(begin + each, length), active = (length + each - 1) / each;
    if (begin >= end) return;

    const float scale = (float)(scaling * 1.4426950408889634);  // weights are powers of two
    const size_t stride = (size_t)kv_heads * DIM / 8;
    const uint4* own_keys = keys + (first_cells[row] * stride + kv_head * (DIM / 8));
    const uint4* own_values = values + (first_cells[row] * stride + kv_head * (DIM / 8));
    uint4 q[KEY_PIECES];
    #pragma unroll
    for (int piece = 0; piece < KEY_PIECES; ++piece)
        q[piece] = g < group
            ? query[((size_t)row * query_heads + kv_head * group + g) * (DIM / 8) + piece * 4 + t]
            : make_uint4(0, 0, 0, 0);

    float sums[WORDS][4] = {};  // dimensions 2 i and 2 i + 1 of a lane's 8, of query heads 2 t and 2 t + 1
    float maximum = NOTHING, weights = 0;
    for (int first = begin + warp * KEYS; first < end; first += WARPS * KEYS) {
        uint4 k[2][KEY_PIECES], v[4][VALUE_PIECES];
        #pragma unroll
        for (int eight = 0; eight < 2; ++eight) {
            const uint4* key = own_keys + min(first + eight * 8 + g, end - 1) * stride + t;
            #pragma unroll
            for (int piece = 0; piece < KEY_PIECES; ++piece) k[eight][piece] = streamed(key + piece * 4);
        }
        #pragma unroll
        for (int i = 0; i < 4; ++i) {
            const uint4* value = own_values + min(first + i / 2 * 8 + t * 2 + i % 2, end - 1) * stride + g;
            #pragma unroll
            for (int piece = 0; piece < VALUE_PIECES; ++piece) v[i][piece] = streamed(value + piece * 8);
        }
        __syncwarp();  // else the compiler loads each piece when it is wanted, one after the other

        float weight[4], highest = maximum;  // of query head g for the keys 2 t, 2 t + 1, 8 + 2 t, 9 + 2 t
        #pragma unroll
        for (int eight = 0; eight < 2; ++eight) {
            float scores[4] = {};
            #pragma unroll
            for (int piece = 0; piece < KEY_PIECES; ++piece) {
                multiply(scores, q[piece].x, 0, q[piece].y, 0, k[eight][piece].x, k[eight][piece].y);
                multiply(scores, q[piece].z, 0, q[piece].w, 0, k[eight][piece].z, k[eight][piece].w);
            }
            #pragma unroll
            for (int i = 0; i < 2; ++i) {
                weight[eight * 2 + i] = first + eight * 8 + t * 2 + i < end ? scores[i] * scale : NOTHING;
                highest = fmaxf(highest, weight[eight * 2 + i]);
            }
        }
        highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 2));
        float shrunk = power_of_two(maximum - highest);
        maximum = highest;
        weights *= shrunk;
        #pragma unroll
        for (int i = 0; i < 4; ++i) {
            weight[i] = power_of_two(weight[i] - highest);
            weights += weight[i];
        }
        float shrunk_even = __shfl_sync(~0u, shrunk, t * 8), shrunk_odd = __shfl_sync(~0u, shrunk, t * 8 + 4);
        u32 near = rounded(weight[0], weight[1]), far = rounded(weight[2], weight[3]);
        #pragma unroll
        for (int i = 0; i < WORDS; ++i) {
            sums[i][0] *= shrunk_even;
            sums[i][1] *= shrunk_odd;
            sums[i][2] *= shrunk_even;
            sums[i][3] *= shrunk_odd;
            u32 word[4];
            #pragma unroll
            for (int key = 0; key < 4; ++key) word[key] = word_of(v[key][i / 4], i % 4);
            multiply(sums[i], __byte_perm(word[0], word[1], 0x5410), __byte_perm(word[0], word[1], 0x7632),
                     __byte_perm(word[2], word[3], 0x5410), __byte_perm(word[2], word[3], 0x7632), near, far);
        }
    }

    weights += __shfl_xor_sync(~0u, weights, 1);
    weights += __shfl_xor_sync(~0u, weights, 2);
    if (t == 0) {
        shared_maxima[warp][g] = maximum;
        shared_weights[warp][g] = weights;
    }
    for (int i = 0; i < WORDS; ++i)
        for (int j = 0; j < 4; ++j)
            shared_sums[warp][t * 2 + j % 2][i / 4 * 64 + g * 8 + i % 4 * 2 + j / 2] = sums[i][j];
    __syncthreads();

    int of_row = row * kv_heads + kv_head;
    float* own_part = parts + ((size_t)of_row * splits + split) * HEADS * DIM;
    float* own_stats = stats + ((size_t)of_row * splits + split) * HEADS * 2;
    half_bits* own_output = output + ((size_t)row * query_heads + kv_head * group) * DIM;
    for (int place = threadIdx.x; place < group * DIM; place += WARPS * LANES) {
        int head = place / DIM, dim = place % DIM;
        float highest = NOTHING, total = 0, all = 0;
        for (int of = 0; of < WARPS; ++of) highest = fmaxf(highest, shared_maxima[of][head]);
        for (int of = 0; of < WARPS; ++of) {
            float share = power_of_two(shared_maxima[of][head] - highest);
            total += share * shared_sums[of][head][dim];
            all += share * shared_weights[of][head];
        }
        if (active == 1) {
            own_output[place] = (half_bits)rounded(total / all, 0);
        } else {
            own_part[place] = total;
            if (dim == 0) {
                own_stats[head * 2] = highest;
                own_stats[head * 2 + 1] = all;
            }
        }
    }
    if (active == 1) return;

    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last = atomicAdd(&arrived[of_row], 1) == active - 1;
    __syncthreads();
    if (!is_last) return;
    __threadfence();

    // What others wrote is not in this block's L1 cache. A warp for each query head finds the shares of the blocks.
    const float* all_stats = stats + (size_t)of_row * splits * HEADS * 2;
    const float* all_parts = parts + (size_t)of_row * splits * HEADS * DIM;
    float* shares = &shared_sums[0][0][0];  // [active][HEADS]
    if (warp < group) {
        float highest = NOTHING, all = 0;
        for (int of = lane; of < active; of += LANES)
            highest = fmaxf(highest, __ldcg(all_stats + (of * HEADS + warp) * 2));
        for (int step = LANES / 2; step; step /= 2) highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, step));
        for (int of = lane; of < active; of += LANES) {
            float share = power_of_two(__ldcg(all_stats + (of * HEADS + warp) * 2) - highest);
            all += share * __ldcg(all_stats + (of * HEADS + warp) * 2 + 1);
            shares[of * HEADS + warp] = share;
        }
        for (int step = LANES / 2; step; step /= 2) all += __shfl_xor_sync(~0u, all, step);
        for (int of = lane; of < active; of += LANES) shares[of * HEADS + warp] /= all;
    }
    __syncthreads();
    for (int place = threadIdx.x * 4; place < group * DIM; place += WARPS * LANES * 4) {
        float4 total = make_float4(0, 0, 0, 0);
        #pragma unroll 8
        for (int of = 0; of < active; ++of) {
            float share = shares[of * HEADS + place / DIM];
            float4 part = __ldcg((const float4*)(all_parts + (size_t)of * HEADS * DIM + place));
            total.x += share * part.x;
            total.y += share * part.y;
            total.z += share * part.z;
            total.w += share * part.w;
        }
        *(uint2*)(own_output + place) = make_uint2(rounded(total.x, total.y), rounded(total.z, total.w));
    }
    if (threadIdx.x == 0) arrived[of_row] = 0;
}
