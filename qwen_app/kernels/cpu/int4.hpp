// Products of 4-bit weights on a CPU, as integers. The weights are read once for up to 16 rows of inputs.
//
// Inputs are rounded to 15 bits of the largest of 32 neighbours, and multiplied in two halves of 8 bits: processors
// multiply four pairs of 8-bit integers and add them up in one instruction. 8 bits alone would be as fast as it gets,
// but five times as far from float32 as bfloat16 inputs are.
//
// Weights lie in tiles of 16 rows. Of 8 columns a tile has 64 bytes: byte 4 r + j has column j of row r in its lower
// half, and column 4 + j above. A weight is `zero + (code - 8) * scale`, both bfloat16, of its row and group of columns.

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

constexpr int64_t TILE = 16, BLOCK = 32, QUADS = BLOCK / 4;  // rows; columns rounded together; four columns at once
constexpr int64_t ROWS_AT_ONCE = 16;

typedef float Floats __attribute__((vector_size(4 * TILE)));
typedef int32_t Ints __attribute__((vector_size(4 * TILE)));

// 32 columns of an input: `scale * (128 * high + low)`, four columns in one word; `sum` is of them all.
struct Block {
    uint32_t high[QUADS], low[QUADS];
    float scale, sum;
};

Block rounded(const float* input) {
    Block block;
    float largest = 0, nothing = 0;
    for (int64_t i = 0; i < BLOCK; i++) {
        largest = std::max(largest, std::fabs(input[i]));
        nothing += input[i] * 0;  // unless one is infinite or no number: then neither is any output one
    }
    const float most = 127 * 128;
    const float inverse = largest > 0 ? most / largest : 0;
    int8_t high[BLOCK], low[BLOCK];
    int32_t sum = 0;
    for (int64_t i = 0; i < BLOCK; i++) {
        const int32_t number = int32_t(std::nearbyint(input[i] * inverse));
        high[i] = int8_t((number + 64) >> 7);
        low[i] = int8_t(number - ((number + 64) >> 7) * 128);
        sum += number;
    }
    std::memcpy(block.high, high, sizeof high);
    std::memcpy(block.low, low, sizeof low);
    block.scale = largest / most + nothing;
    block.sum = block.scale * float(sum);
    return block;
}

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
constexpr bool SERVES = true;
typedef __m512i Codes;

void unpack(const uint8_t* bytes, Codes& lower, Codes& upper) {
    const __m512i both = _mm512_loadu_si512(bytes), half = _mm512_set1_epi8(15);
    lower = _mm512_and_si512(both, half);
    upper = _mm512_and_si512(_mm512_srli_epi16(both, 4), half);
}

// For each of 16 rows: its codes times the numbers, added up.
Ints product(const Codes* codes, const uint32_t* numbers) {
    __m512i even = _mm512_setzero_si512(), odd = even;
    for (int64_t quad = 0; quad < QUADS; quad += 2) {
        even = _mm512_dpbusd_epi32(even, codes[quad], _mm512_set1_epi32(int32_t(numbers[quad])));
        odd = _mm512_dpbusd_epi32(odd, codes[quad + 1], _mm512_set1_epi32(int32_t(numbers[quad + 1])));
    }
    return Ints(_mm512_add_epi32(even, odd));
}
#elif defined(__AVX2__)
constexpr bool SERVES = true;
struct Codes {
    __m256i halves[2];
};

void unpack(const uint8_t* bytes, Codes& lower, Codes& upper) {
    const __m256i half = _mm256_set1_epi8(15);
    for (int i = 0; i < 2; i++) {
        const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes) + i);
        lower.halves[i] = _mm256_and_si256(both, half);
        upper.halves[i] = _mm256_and_si256(_mm256_srli_epi16(both, 4), half);
    }
}

// As above. 16 bits hold what is added up: 8 times two products of at most 15 * 127.
Ints product(const Codes* codes, const uint32_t* numbers) {
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int64_t quad = 0; quad < QUADS; quad++) {
        const __m256i four = _mm256_set1_epi32(int32_t(numbers[quad]));
        for (int i = 0; i < 2; i++)
            sums[i] = _mm256_add_epi16(sums[i], _mm256_maddubs_epi16(codes[quad].halves[i], four));
    }
    Ints result;
    for (int i = 0; i < 2; i++) {
        const __m256i wide = _mm256_madd_epi16(sums[i], _mm256_set1_epi16(1));
        std::memcpy(reinterpret_cast<char*>(&result) + 32 * i, &wide, sizeof wide);
    }
    return result;
}
#else
constexpr bool SERVES = false;  // torch's kernel knows other processors better than plain loops would
struct Codes {};
void unpack(const uint8_t*, Codes&, Codes&) {}
Ints product(const Codes*, const uint32_t*) { return {}; }
#endif

// As kernels/cpu/int4.py's Int4Weights.
struct Int4Weights {
    const uint8_t* packed;
    const uint32_t* scales_and_zeros;  // [tiles, columns / group, TILE]: the scale's bits below, the zero's above
    const float* bias;                 // [out_features], or null
    int64_t columns, group, out_features;
};

// One tile of outputs for up to ROWS_AT_ONCE inputs, each `columns / BLOCK` blocks.
void multiply_tile(const Int4Weights& weights, int64_t tile, const Block* inputs, int64_t count, float* outputs) {
    const int64_t blocks = weights.columns / BLOCK;
    const uint8_t* packed = weights.packed + tile * weights.columns * TILE / 2;
    const uint32_t* scales_and_zeros = weights.scales_and_zeros + tile * weights.columns / weights.group * TILE;
    Floats sums[ROWS_AT_ONCE] = {};
    for (int64_t block = 0; block < blocks; block++) {
        Codes codes[QUADS];
        for (int64_t quad = 0; quad < QUADS; quad += 2, packed += 4 * TILE) unpack(packed, codes[quad], codes[quad + 1]);
        Ints pairs;
        std::memcpy(&pairs, scales_and_zeros + block * BLOCK / weights.group * TILE, sizeof pairs);
        const Floats scale = Floats(pairs << 16), offset = Floats(pairs & int32_t(0xffff0000)) - 8 * scale;
        for (int64_t i = 0; i < count; i++) {
            const Block& input = inputs[i * blocks + block];
            const Ints total = product(codes, input.high) * 128 + product(codes, input.low);
            sums[i] += __builtin_convertvector(total, Floats) * (scale * input.scale) + offset * input.sum;
        }
    }
    const int64_t first = tile * TILE, width = std::min(TILE, weights.out_features - first);
    for (int64_t i = 0; i < count; i++)
        for (int64_t row = 0; row < width; row++)
            outputs[i * weights.out_features + first + row] =
                sums[i][row] + (weights.bias ? weights.bias[first + row] : 0);
}

// outputs [count, out_features] = inputs [count, columns] @ weights.T + bias
void multiply(const Int4Weights& weights, const float* inputs, int64_t count, float* outputs) {
    const int64_t blocks = weights.columns / BLOCK;
    std::vector<Block> rounded_inputs(count * blocks);
#pragma omp parallel for if (count > 4)
    for (int64_t i = 0; i < count * blocks; i++) rounded_inputs[i] = rounded(inputs + i * BLOCK);
#pragma omp parallel for
    for (int64_t tile = 0; tile < (weights.out_features + TILE - 1) / TILE; tile++)
        for (int64_t i = 0; i < count; i += ROWS_AT_ONCE)
            multiply_tile(weights, tile, rounded_inputs.data() + i * blocks, std::min(ROWS_AT_ONCE, count - i),
                          outputs + i * weights.out_features);
}

}  // namespace
