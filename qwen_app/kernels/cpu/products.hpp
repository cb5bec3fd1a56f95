// Products of 4 and 8-bit weights on a CPU, as integers. The weights are read once for up to 16 inputs.
//
// Inputs are rounded to 16 bits of the largest of their neighbours: two of them times two codes, added up, is one
// instruction for each row of a weight. Inputs of 8 bits would be multiplied twice as fast, but are five times as far
// from float32 as bfloat16 is.
//
// Weights lie in tiles of 16 rows, and in these by pairs of columns, so that a vector has two columns of its rows.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace {

#ifdef __AVX512BW__
constexpr int64_t LANES = 16;  // rows of a vector
#else
constexpr int64_t LANES = 8;
#endif
constexpr int64_t TILE = 16;  // rows of a weight
constexpr int64_t PARTS = TILE / LANES;
constexpr int64_t INPUTS_AT_ONCE = 16;
constexpr int64_t INPUTS_IN_REGISTERS = 8 / PARTS;  // their sums are: more would leave no room for codes
constexpr float LARGEST_NUMBER = 32767;

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint16_t Pairs __attribute__((vector_size(4 * LANES)));  // a row's even column, then its odd one
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

template <typename Vector>
Vector loaded(const void* bytes) {
    Vector vector;
    std::memcpy(&vector, bytes, sizeof vector);
    return vector;
}

#if defined(__AVX2__) && defined(__FMA__)
constexpr bool SERVES = true;

// Adds to `sums`, for each row, its pair of codes times the `pair` of numbers.
void add_product(Ints& sums, Pairs codes, int32_t pair) {
#if defined(__AVX512BW__) && defined(__AVX512VNNI__)
    sums = Ints(_mm512_dpwssd_epi32(__m512i(sums), __m512i(codes), _mm512_set1_epi32(pair)));
#elif defined(__AVX512BW__)
    sums += Ints(_mm512_madd_epi16(__m512i(codes), _mm512_set1_epi32(pair)));
#else
    sums += Ints(_mm256_madd_epi16(__m256i(codes), _mm256_set1_epi32(pair)));
#endif
    asm("" : "+v"(sums));  // stays in its register: gcc puts all products on the stack, to add them up at the end
}

// `left * right + sum`, in one operation wherever it stands: a row's outputs do not change with the rows beside it.
Floats multiplied_and_added(Floats left, Floats right, Floats sum) {
#ifdef __AVX512BW__
    return _mm512_fmadd_ps(left, right, sum);
#else
    return _mm256_fmadd_ps(left, right, sum);
#endif
}
#else
constexpr bool SERVES = false;  // torch's kernels know other processors better

void add_product(Ints&, Pairs, int32_t) {}
Floats multiplied_and_added(Floats, Floats, Floats sum) { return sum; }
#endif

// Columns of an input that are rounded together, to `scale * number`; `sum` is of them all.
template <int64_t PAIRS>
struct Block {
    static constexpr int64_t COLUMNS = 2 * PAIRS;
    int32_t pairs[PAIRS];
    float scale, sum;
};

template <int64_t PAIRS>
Block<PAIRS> rounded(const float* input) {
    constexpr int64_t COLUMNS = Block<PAIRS>::COLUMNS;
    Block<PAIRS> block;
    Floats sizes = {};
    Ints unfit = {};  // infinite or no number: then no output is one either
    for (int64_t i = 0; i < COLUMNS; i += LANES) {
        const Floats some = loaded<Floats>(input + i), size = some < 0 ? -some : some;
        sizes = size > sizes ? size : sizes;
        unfit |= ~(size <= std::numeric_limits<float>::max());
    }
    float largest = 0, nothing = 0;
    for (int64_t lane = 0; lane < LANES; lane++) {
        largest = std::max(largest, sizes[lane]);
        if (unfit[lane]) nothing = NAN;
    }
    const float inverse = largest > 0 ? LARGEST_NUMBER / largest : 0;
    int16_t numbers[COLUMNS];
    uint32_t sum = 0;  // of numbers with a sign; what is no number may overflow
    for (int64_t i = 0; i < COLUMNS; i++) {
        const int32_t number = int32_t(std::nearbyint(input[i] * inverse));
        numbers[i] = int16_t(number);
        sum += uint32_t(number);
    }
    std::memcpy(block.pairs, numbers, sizeof numbers);
    block.scale = largest / LARGEST_NUMBER + nothing;
    block.sum = block.scale * float(int32_t(sum));
    return block;
}

// A weight of a group of columns is `scale * code + offset`.
struct Scales {
    Floats scale[PARTS], offset[PARTS];
};

// As kernels/cpu/weights.py's PackedWeights. A weight is `zero + (code - 8) * scale`. Of 8 columns a tile has 64 bytes, of
// each row two words of 16 bits: the even columns, from the lowest bits up, and the odd ones.
struct Int4Weights {
    static constexpr int BITS = 4;
    static constexpr int64_t PAIRS = 16;
    const uint8_t* packed;
    const uint32_t* scales_and_zeros;  // [tiles, columns / group, TILE]: a scale's bfloat16 bits below, a zero's above
    const float* bias;                 // [out_features], or null
    int64_t columns, group, out_features;

    static Pairs codes(const uint8_t* bytes, int64_t pair, int64_t part) {
        const Pairs four = loaded<Pairs>(bytes + (pair / 4 * PARTS + part) * sizeof(Pairs));
        return pair % 4 == 3 ? four >> 12 : four >> 4 * (pair % 4) & 15;
    }

    Scales scales(int64_t place) const {
        Scales found;
        for (int64_t part = 0; part < PARTS; part++) {
            const Ints both = loaded<Ints>(scales_and_zeros + place * TILE + part * LANES);
            found.scale[part] = Floats(both << 16);
            found.offset[part] = Floats(both & int32_t(0xffff0000)) - 8 * found.scale[part];
        }
        return found;
    }
};

// As kernels/cpu/weights.py's PackedWeights. A weight is `(code - 128) * scale`. Of 4 columns a tile has 64 bytes, of each
// row two words of 16 bits: the even columns, the first of them below, and the odd ones.
struct Int8Weights {
    static constexpr int BITS = 8;
    static constexpr int64_t PAIRS = 8;
    const uint8_t* packed;
    const uint16_t* bfloat16_scales;  // [tiles, columns / group, TILE]
    const float* bias;                // [out_features], or null
    int64_t columns, group, out_features;

    static Pairs codes(const uint8_t* bytes, int64_t pair, int64_t part) {
        const Pairs two = loaded<Pairs>(bytes + (pair / 2 * PARTS + part) * sizeof(Pairs));
        return pair % 2 ? two >> 8 : two & 255;
    }

    Scales scales(int64_t place) const {
        Scales found;
        for (int64_t part = 0; part < PARTS; part++) {
            const Halves halves = loaded<Halves>(bfloat16_scales + place * TILE + part * LANES);
            found.scale[part] = Floats(__builtin_convertvector(halves, Ints) << 16);
            found.offset[part] = -128 * found.scale[part];
        }
        return found;
    }
};

// Adds to sums [COUNT, PARTS] what inputs, `blocks` apart, make of a block of codes: `codes_of(pair, part)`.
template <int64_t COUNT, int64_t PAIRS, typename CodesOf>
inline __attribute__((always_inline)) void add_block(const CodesOf& codes_of, const Scales& scales,
                                                     const Block<PAIRS>* inputs, int64_t blocks,
                                                     Floats (*sums)[PARTS]) {
    Ints products[COUNT][PARTS] = {};
#pragma GCC unroll 16
    for (int64_t pair = 0; pair < PAIRS; pair++) {
        Pairs codes[PARTS];
#pragma GCC unroll 2
        for (int64_t part = 0; part < PARTS; part++) codes[part] = codes_of(pair, part);
#pragma GCC unroll 8
        for (int64_t i = 0; i < COUNT; i++)
#pragma GCC unroll 2
            for (int64_t part = 0; part < PARTS; part++)
                add_product(products[i][part], codes[part], inputs[i * blocks].pairs[pair]);
    }
#pragma GCC unroll 8
    for (int64_t i = 0; i < COUNT; i++)
#pragma GCC unroll 2
        for (int64_t part = 0; part < PARTS; part++) {
            const Block<PAIRS>& input = inputs[i * blocks];
            const Floats zeros = multiplied_and_added(scales.offset[part], input.sum + Floats{}, sums[i][part]);
            const Floats product = __builtin_convertvector(products[i][part], Floats);
            sums[i][part] = multiplied_and_added(product, scales.scale[part] * input.scale, zeros);
        }
}

// One tile of outputs for COUNT inputs, which are `blocks` apart. For few, codes go from the weight straight to their
// products; for more they are unpacked once.
template <int64_t COUNT, typename Weights>
void multiply_tile(const Weights& weights, int64_t tile, const Block<Weights::PAIRS>* inputs, int64_t blocks,
                   float* outputs, int64_t stride) {
    constexpr int64_t PAIRS = Weights::PAIRS, BLOCK_BYTES = PAIRS * 2 * TILE * Weights::BITS / 8;
    constexpr int64_t AT_ONCE = std::min(COUNT, INPUTS_IN_REGISTERS);
    const int64_t blocks_of_group = weights.group / (2 * PAIRS), groups = blocks / blocks_of_group;
    const uint8_t* bytes = weights.packed + tile * blocks * BLOCK_BYTES;
    Floats sums[COUNT][PARTS] = {};
    for (int64_t group = 0; group < groups; group++) {
        const Scales scales = weights.scales(tile * groups + group);
        for (int64_t block = 0; block < blocks_of_group; block++, inputs++, bytes += BLOCK_BYTES) {
            const auto packed = [&](int64_t pair, int64_t part) { return Weights::codes(bytes, pair, part); };
            if constexpr (COUNT == AT_ONCE) {
                add_block<COUNT>(packed, scales, inputs, blocks, sums);
            } else {
                Pairs codes[PAIRS][PARTS];
#pragma GCC unroll 16
                for (int64_t pair = 0; pair < PAIRS; pair++)
#pragma GCC unroll 2
                    for (int64_t part = 0; part < PARTS; part++) codes[pair][part] = packed(pair, part);
                const auto unpacked = [&](int64_t pair, int64_t part) { return codes[pair][part]; };
#pragma GCC unroll 1
                for (int64_t i = 0; i < COUNT; i += AT_ONCE)
                    add_block<AT_ONCE>(unpacked, scales, inputs + i * blocks, blocks, sums + i);
            }
        }
    }
    const int64_t first = tile * TILE, width = std::min(TILE, weights.out_features - first);
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t row = 0; row < width; row++)
            outputs[i * stride + first + row] =
                sums[i][row / LANES][row % LANES] + (weights.bias ? weights.bias[first + row] : 0);
}

// The same for `count` inputs, COUNT at once and then the rest.
template <int64_t COUNT, typename Weights>
void multiply_tile(const Weights& weights, int64_t tile, const Block<Weights::PAIRS>* inputs, int64_t blocks,
                   int64_t count, float* outputs, int64_t stride) {
    for (; count >= COUNT; count -= COUNT, inputs += COUNT * blocks, outputs += COUNT * stride)
        multiply_tile<COUNT>(weights, tile, inputs, blocks, outputs, stride);
    constexpr int64_t FEWER = std::min(COUNT / 2, INPUTS_IN_REGISTERS);
    if constexpr (COUNT > 1) multiply_tile<FEWER>(weights, tile, inputs, blocks, count, outputs, stride);
}

// outputs [count, out_features] = inputs [count, columns] @ weights.T + bias; `stride` numbers lie from row to row
template <typename Weights>
void multiply(const Weights& weights, const float* inputs, int64_t count, float* outputs, int64_t stride) {
    constexpr int64_t COLUMNS = 2 * Weights::PAIRS;
    const int64_t blocks = weights.columns / COLUMNS;
    std::vector<Block<Weights::PAIRS>> rounded_inputs(count * blocks);
#pragma omp parallel for if (count > 4)
    for (int64_t i = 0; i < count * blocks; i++) rounded_inputs[i] = rounded<Weights::PAIRS>(inputs + i * COLUMNS);
#pragma omp parallel for
    for (int64_t tile = 0; tile < (weights.out_features + TILE - 1) / TILE; tile++)
        multiply_tile<INPUTS_AT_ONCE>(weights, tile, rounded_inputs.data(), blocks, count, outputs, stride);
}

}  // namespace
