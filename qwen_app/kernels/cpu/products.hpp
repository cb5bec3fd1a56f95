// Products of 4 and 8-bit weights on a CPU, as integers. The weights are read once for up to 16 rows of inputs.
//
// Inputs are rounded to 15 bits of the largest of their neighbours, and multiplied in two halves of 8 bits: processors
// multiply four pairs of 8-bit integers and add them up in one instruction. 8 bits alone would be as fast as it gets,
// but five times as far from float32 as bfloat16 inputs are.
//
// Weights lie in tiles of 16 rows, and in these by quads of columns, so that one instruction is of 16 rows and 4 columns.

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

constexpr int64_t TILE = 16;          // rows of a weight
constexpr int64_t ROWS_AT_ONCE = 16;  // of inputs

typedef float Floats __attribute__((vector_size(4 * TILE)));
typedef int32_t Ints __attribute__((vector_size(4 * TILE)));

// Columns of an input that are rounded together: `scale * (128 * high + low)`, a quad in a word; `sum` is of them all.
template <int64_t QUADS>
struct Block {
    static constexpr int64_t COLUMNS = 4 * QUADS;
    uint32_t high[QUADS], low[QUADS];
    float scale, sum;
};

template <int64_t QUADS>
Block<QUADS> rounded(const float* input) {
    constexpr int64_t BLOCK = Block<QUADS>::COLUMNS;
    Block<QUADS> block;
    float largest = 0, nothing = 0;
    for (int64_t i = 0; i < BLOCK; i++) {
        largest = std::max(largest, std::fabs(input[i]));
        nothing += input[i] * 0;  // unless one is infinite or no number: then neither is any output one
    }
    const float most = 127 * 128;
    const float inverse = largest > 0 ? most / largest : 0;
    int8_t high[BLOCK], low[BLOCK];
    uint32_t sum = 0;  // of numbers with a sign; what is no number may overflow
    for (int64_t i = 0; i < BLOCK; i++) {
        const int32_t number = int32_t(std::nearbyint(input[i] * inverse));
        high[i] = int8_t((number + 64) >> 7);
        low[i] = int8_t(number - ((number + 64) >> 7) * 128);
        sum += uint32_t(number);
    }
    std::memcpy(block.high, high, sizeof high);
    std::memcpy(block.low, low, sizeof low);
    block.scale = largest / most + nothing;
    block.sum = block.scale * float(int32_t(sum));
    return block;
}

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
constexpr bool SERVES = true;
constexpr float ZERO_OF_8_BITS = 128;  // products of 8-bit codes are of codes as they are stored, 128 too large
typedef __m512i Codes;  // of a quad: byte 4 r + j has column j of row r

void unpack(const uint8_t* bytes, Codes& lower, Codes& upper) {
    const __m512i both = _mm512_loadu_si512(bytes), half = _mm512_set1_epi8(15);
    lower = _mm512_and_si512(both, half);
    upper = _mm512_and_si512(_mm512_srli_epi16(both, 4), half);
}

void load(const uint8_t* bytes, Codes& codes) { codes = _mm512_loadu_si512(bytes); }

// For each of 16 rows: its codes times the numbers, added up.
template <int BITS, int64_t QUADS>
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
constexpr float ZERO_OF_8_BITS = 0;
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

void load(const uint8_t* bytes, Codes& codes) {
    for (int i = 0; i < 2; i++) codes.halves[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes) + i);
}

// Four columns of 8 rows times their numbers, as pairs of 16 bits. These hold two products of at most 127 * 127, and of
// 4 bits what is added up over 8 quads.
template <int BITS>
__m256i pairs_of(__m256i codes, __m256i numbers) {
    if (BITS == 4) return _mm256_maddubs_epi16(codes, numbers);
    const __m256i with_sign = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(with_sign), _mm256_sign_epi8(numbers, with_sign));
}

__m256i added(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

template <int BITS, int64_t QUADS>
Ints product(const Codes* codes, const uint32_t* numbers) {
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int64_t quad = 0; quad < QUADS; quad++) {
        const __m256i four = _mm256_set1_epi32(int32_t(numbers[quad]));
        for (int i = 0; i < 2; i++) {
            const __m256i pairs = pairs_of<BITS>(codes[quad].halves[i], four);
            sums[i] = BITS == 4 ? _mm256_add_epi16(sums[i], pairs) : _mm256_add_epi32(sums[i], added(pairs));
        }
    }
    Ints result;
    for (int i = 0; i < 2; i++) {
        const __m256i wide = BITS == 4 ? added(sums[i]) : sums[i];
        std::memcpy(reinterpret_cast<char*>(&result) + 32 * i, &wide, sizeof wide);
    }
    return result;
}
#else
constexpr bool SERVES = false;  // torch's kernels know other processors better
constexpr float ZERO_OF_8_BITS = 0;
struct Codes {};
void unpack(const uint8_t*, Codes&, Codes&) {}
void load(const uint8_t*, Codes& codes) { codes = {}; }
template <int BITS, int64_t QUADS>
Ints product(const Codes*, const uint32_t*) {
    return Ints{};
}
#endif

// As kernels/cpu/weights.py's PackedWeights. A weight is `zero + (code - 8) * scale`. Of 8 columns a tile has 64 bytes: byte
// 4 r + j has column j of row r in its lower half, and column 4 + j above.
struct Int4Weights {
    static constexpr int BITS = 4;
    static constexpr int64_t QUADS = 8;
    const uint8_t* packed;
    const uint32_t* scales_and_zeros;  // [tiles, columns / group, TILE]: a scale's bfloat16 bits below, a zero's above
    const float* bias;                 // [out_features], or null
    int64_t columns, group, out_features;

    // The codes of a block, and what is `scale * code + offset` of them.
    void read(int64_t tile, int64_t block, Codes* codes, Floats& scale, Floats& offset) const {
        const uint8_t* bytes = packed + (tile * columns + block * 4 * QUADS) * TILE / 2;
        for (int64_t quad = 0; quad < QUADS; quad += 2, bytes += 4 * TILE) unpack(bytes, codes[quad], codes[quad + 1]);
        Ints pairs;
        const int64_t place = tile * columns / group + block * 4 * QUADS / group;
        std::memcpy(&pairs, scales_and_zeros + place * TILE, sizeof pairs);
        scale = Floats(pairs << 16);
        offset = Floats(pairs & int32_t(0xffff0000)) - 8 * scale;
    }
};

// As kernels/cpu/weights.py's PackedWeights. A weight is `(code - 128) * scale`. Of 4 columns a tile has 64 bytes: byte
// 4 r + j has column j of row r.
struct Int8Weights {
    static constexpr int BITS = 8;
    static constexpr int64_t QUADS = 4;
    const uint8_t* packed;
    const uint16_t* scales;  // bfloat16 [tiles, columns / group, TILE]
    const float* bias;       // [out_features], or null
    int64_t columns, group, out_features;

    void read(int64_t tile, int64_t block, Codes* codes, Floats& scale, Floats& offset) const {
        const uint8_t* bytes = packed + (tile * columns + block * 4 * QUADS) * TILE;
        for (int64_t quad = 0; quad < QUADS; quad++) load(bytes + quad * 4 * TILE, codes[quad]);
        uint16_t halves __attribute__((vector_size(2 * TILE)));
        const int64_t place = tile * columns / group + block * 4 * QUADS / group;
        std::memcpy(&halves, scales + place * TILE, sizeof halves);
        scale = Floats(__builtin_convertvector(halves, Ints) << 16);
        offset = -ZERO_OF_8_BITS * scale;
    }
};

// One tile of outputs for up to ROWS_AT_ONCE inputs.
template <typename Weights>
void multiply_tile(const Weights& weights, int64_t tile, const Block<Weights::QUADS>* inputs, int64_t count,
                   float* outputs, int64_t stride) {
    const int64_t blocks = weights.columns / (4 * Weights::QUADS);
    Floats sums[ROWS_AT_ONCE] = {};
    for (int64_t block = 0; block < blocks; block++) {
        Codes codes[Weights::QUADS];
        Floats scale, offset;
        weights.read(tile, block, codes, scale, offset);
        for (int64_t i = 0; i < count; i++) {
            const Block<Weights::QUADS>& input = inputs[i * blocks + block];
            const Ints total = product<Weights::BITS, Weights::QUADS>(codes, input.high) * 128 +
                               product<Weights::BITS, Weights::QUADS>(codes, input.low);
            sums[i] += __builtin_convertvector(total, Floats) * (scale * input.scale) + offset * input.sum;
        }
    }
    const int64_t first = tile * TILE, width = std::min(TILE, weights.out_features - first);
    for (int64_t i = 0; i < count; i++)
        for (int64_t row = 0; row < width; row++)
            outputs[i * stride + first + row] = sums[i][row] + (weights.bias ? weights.bias[first + row] : 0);
}

// outputs [count, out_features] = inputs [count, columns] @ weights.T + bias; `stride` numbers lie from row to row
template <typename Weights>
void multiply(const Weights& weights, const float* inputs, int64_t count, float* outputs, int64_t stride) {
    constexpr int64_t COLUMNS = 4 * Weights::QUADS;
    const int64_t blocks = weights.columns / COLUMNS;
    std::vector<Block<Weights::QUADS>> rounded_inputs(count * blocks);
#pragma omp parallel for if (count > 4)
    for (int64_t i = 0; i < count * blocks; i++) rounded_inputs[i] = rounded<Weights::QUADS>(inputs + i * COLUMNS);
#pragma omp parallel for
    for (int64_t tile = 0; tile < (weights.out_features + TILE - 1) / TILE; tile++)
        for (int64_t i = 0; i < count; i += ROWS_AT_ONCE)
            multiply_tile(weights, tile, rounded_inputs.data() + i * blocks, std::min(ROWS_AT_ONCE, count - i),
                          outputs + i * stride, stride);
}

}  // namespace
