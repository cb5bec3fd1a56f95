// Products of 4 and 8-bit weights on a CPU, as integers. The weights are read once for up to 16 rows of inputs.
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
constexpr int64_t ROWS_AT_ONCE = 16;  // of inputs
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
    float largest = 0, nothing = 0;
    for (int64_t i = 0; i < COLUMNS; i++) {
        largest = std::max(largest, std::fabs(input[i]));
        nothing += input[i] * 0;  // unless one is infinite or no number: then neither is any output one
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

// Of a tile, what is multiplied by a block of inputs: a weight is `scale * code + offset`.
template <int64_t PAIRS>
struct Codes {
    Pairs pairs[PAIRS][PARTS];
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

    void read(int64_t tile, int64_t block, Codes<PAIRS>& codes) const {
        const uint8_t* bytes = packed + (tile * columns + block * 2 * PAIRS) * TILE / 2;
        for (int64_t pair = 0; pair < PAIRS; pair += 4)
            for (int64_t part = 0; part < PARTS; part++, bytes += sizeof(Pairs)) {
                const Pairs four = loaded<Pairs>(bytes);
                codes.pairs[pair][part] = four & 15;
                codes.pairs[pair + 1][part] = four >> 4 & 15;
                codes.pairs[pair + 2][part] = four >> 8 & 15;
                codes.pairs[pair + 3][part] = four >> 12;
            }
        const uint32_t* first = scales_and_zeros + (tile * columns + block * 2 * PAIRS) / group * TILE;
        for (int64_t part = 0; part < PARTS; part++) {
            const Ints both = loaded<Ints>(first + part * LANES);
            codes.scale[part] = Floats(both << 16);
            codes.offset[part] = Floats(both & int32_t(0xffff0000)) - 8 * codes.scale[part];
        }
    }
};

// As kernels/cpu/weights.py's PackedWeights. A weight is `(code - 128) * scale`. Of 4 columns a tile has 64 bytes, of each
// row two words of 16 bits: the even columns, the first of them below, and the odd ones.
struct Int8Weights {
    static constexpr int BITS = 8;
    static constexpr int64_t PAIRS = 8;
    const uint8_t* packed;
    const uint16_t* scales;  // bfloat16 [tiles, columns / group, TILE]
    const float* bias;       // [out_features], or null
    int64_t columns, group, out_features;

    void read(int64_t tile, int64_t block, Codes<PAIRS>& codes) const {
        const uint8_t* bytes = packed + (tile * columns + block * 2 * PAIRS) * TILE;
        for (int64_t pair = 0; pair < PAIRS; pair += 2)
            for (int64_t part = 0; part < PARTS; part++, bytes += sizeof(Pairs)) {
                const Pairs two = loaded<Pairs>(bytes);
                codes.pairs[pair][part] = two & 255;
                codes.pairs[pair + 1][part] = two >> 8;
            }
        const uint16_t* first = scales + (tile * columns + block * 2 * PAIRS) / group * TILE;
        for (int64_t part = 0; part < PARTS; part++) {
            const Halves halves = loaded<Halves>(first + part * LANES);
            codes.scale[part] = Floats(__builtin_convertvector(halves, Ints) << 16);
            codes.offset[part] = -128 * codes.scale[part];
        }
    }
};

// Adds to outputs [count, PARTS] what inputs [count], `blocks` apart, make of codes. COUNT of them share what is loaded.
template <int64_t COUNT, int64_t PAIRS>
void add_products(const Codes<PAIRS>& codes, const Block<PAIRS>* inputs, int64_t blocks, int64_t count,
                  Floats (*outputs)[PARTS]) {
    for (; count >= COUNT; count -= COUNT, inputs += COUNT * blocks, outputs += COUNT) {
        Ints sums[COUNT][PARTS] = {};
#pragma GCC unroll 16
        for (int64_t pair = 0; pair < PAIRS; pair++)
#pragma GCC unroll 8
            for (int64_t i = 0; i < COUNT; i++)
#pragma GCC unroll 2
                for (int64_t part = 0; part < PARTS; part++)
                    add_product(sums[i][part], codes.pairs[pair][part], inputs[i * blocks].pairs[pair]);
#pragma GCC unroll 8
        for (int64_t i = 0; i < COUNT; i++)
#pragma GCC unroll 2
            for (int64_t part = 0; part < PARTS; part++) {
                const Block<PAIRS>& input = inputs[i * blocks];
                const Floats zeros = multiplied_and_added(codes.offset[part], input.sum + Floats{}, outputs[i][part]);
                const Floats product = __builtin_convertvector(sums[i][part], Floats);
                outputs[i][part] = multiplied_and_added(product, codes.scale[part] * input.scale, zeros);
            }
    }
    if constexpr (COUNT > 1) add_products<COUNT / 2>(codes, inputs, blocks, count, outputs);
}

// One tile of outputs for up to ROWS_AT_ONCE inputs.
template <typename Weights>
void multiply_tile(const Weights& weights, int64_t tile, const Block<Weights::PAIRS>* inputs, int64_t count,
                   float* outputs, int64_t stride) {
    constexpr int64_t SUMS_IN_REGISTERS = 8;
    const int64_t blocks = weights.columns / (2 * Weights::PAIRS);
    Floats sums[ROWS_AT_ONCE][PARTS] = {};
    for (int64_t block = 0; block < blocks; block++) {
        Codes<Weights::PAIRS> codes;
        weights.read(tile, block, codes);
        add_products<SUMS_IN_REGISTERS / PARTS>(codes, inputs + block, blocks, count, sums);
    }
    const int64_t first = tile * TILE, width = std::min(TILE, weights.out_features - first);
    for (int64_t i = 0; i < count; i++)
        for (int64_t row = 0; row < width; row++)
            outputs[i * stride + first + row] =
                sums[i][row / LANES][row % LANES] + (weights.bias ? weights.bias[first + row] : 0);
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
        for (int64_t i = 0; i < count; i += ROWS_AT_ONCE)
            multiply_tile(weights, tile, rounded_inputs.data() + i * blocks, std::min(ROWS_AT_ONCE, count - i),
                          outputs + i * stride, stride);
}

}  // namespace
