// Products of 4 and 8-bit weights on a CPU, as integers. The weights are read once for 16 inputs, or for as
// many of fewer as registers hold: four with AVX2, eight with AVX-512.
//
// Inputs are rounded together with their neighbours. Where weights have 8 bits, to 16 bits of the largest of them, so that
// two of them times two codes are one instruction for each row of a weight. Where weights have 4, to 8 bits, and four of
// them at a time. Where one is far from its neighbours, 8 bits of the largest would leave little of the others: they are
// of what lies between the lowest and the highest then.
//
// Weights lie in tiles of 16 rows, and in these by a few columns, so that a vector has two or four columns of its rows.

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
constexpr float LOPSIDED = 0.7f;  // half of what lies between the lowest and the highest, to the largest, at most
constexpr int64_t INPUTS_IN_REGISTERS = 8 / PARTS;  // their sums are: more would leave no room for codes

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef int16_t Shorts __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

template <typename Vector>
Vector loaded(const void* bytes) {
    Vector vector;
    std::memcpy(&vector, bytes, sizeof vector);
    return vector;
}

#if defined(__AVX2__) && defined(__FMA__)
constexpr bool SERVES = true;

#ifdef __AVX512BW__
typedef __m512i Bits;
Bits everywhere(int32_t word) { return _mm512_set1_epi32(word); }
Bits multiplied_twos(Bits codes, Bits numbers) { return _mm512_madd_epi16(codes, numbers); }
Bits multiplied_bytes(Bits codes, Bits numbers) { return _mm512_maddubs_epi16(codes, numbers); }
#else
typedef __m256i Bits;
Bits everywhere(int32_t word) { return _mm256_set1_epi32(word); }
Bits multiplied_twos(Bits codes, Bits numbers) { return _mm256_madd_epi16(codes, numbers); }
Bits multiplied_bytes(Bits codes, Bits numbers) { return _mm256_maddubs_epi16(codes, numbers); }
#endif

// gcc would put all products on the stack, to add them up at the end: what passes here stays in its register.
template <typename Vector>
void keep(Vector& sums) {
    asm("" : "+v"(sums));
}

// `add_two` adds to `sums`, for each row, its two codes of 16 bits times the two numbers of `inputs`; `add_four` its four
// codes of 8 bits without a sign times four numbers that have one. Of codes up to 15, eight times four fit: in two sums of
// 16 bits a row, or one of 32.
#if defined(__AVX512BW__) && defined(__AVX512VNNI__)
typedef Ints FourSums;
void add_two(Ints& sums, Ints codes, int32_t inputs) {
    sums = Ints(_mm512_dpwssd_epi32(Bits(sums), Bits(codes), everywhere(inputs)));
    keep(sums);
}
void add_four(FourSums& sums, Ints codes, int32_t inputs) {
    sums = Ints(_mm512_dpbusd_epi32(Bits(sums), Bits(codes), everywhere(inputs)));
    keep(sums);
}
Ints totals(FourSums sums) { return sums; }
#else
typedef Shorts FourSums;
void add_two(Ints& sums, Ints codes, int32_t inputs) {
    sums += Ints(multiplied_twos(Bits(codes), everywhere(inputs)));
    keep(sums);
}
void add_four(FourSums& sums, Ints codes, int32_t inputs) {
    sums += Shorts(multiplied_bytes(Bits(codes), everywhere(inputs)));
    keep(sums);
}
Ints totals(FourSums sums) { return Ints(multiplied_twos(Bits(sums), everywhere(0x00010001))); }
#endif

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

typedef Ints FourSums;
void add_two(Ints&, Ints, int32_t) {}
void add_four(FourSums&, Ints, int32_t) {}
Ints totals(FourSums sums) { return sums; }
Floats multiplied_and_added(Floats, Floats, Floats sum) { return sum; }
#endif

// Columns of an input that are rounded together, to `scale * number + middle`; `sum` is of them all. A step is what is
// multiplied at once: two numbers of 16 bits, or four of 8.
template <typename Weights>
struct Block {
    int32_t steps[Weights::STEPS];
    float scale, middle, sum;
};

template <typename Weights>
Block<Weights> rounded(const float* input) {
    typedef typename Weights::Number Number;
    constexpr int64_t COLUMNS = Weights::COLUMNS;
    constexpr float LARGEST_NUMBER = std::numeric_limits<Number>::max();
    Block<Weights> block;
    Floats lows = loaded<Floats>(input), highs = lows;
    Ints unfit = {};  // infinite or no number: then no output is one either
    for (int64_t i = 0; i < COLUMNS; i += LANES) {
        const Floats some = loaded<Floats>(input + i), size = some < 0 ? -some : some;
        lows = some < lows ? some : lows;
        highs = some > highs ? some : highs;
        unfit |= ~(size <= std::numeric_limits<float>::max());
    }
    float lowest = lows[0], highest = highs[0], nothing = 0;
    for (int64_t lane = 0; lane < LANES; lane++) {
        lowest = std::min(lowest, lows[lane]);
        highest = std::max(highest, highs[lane]);
        if (unfit[lane]) nothing = NAN;
    }
    const bool centred = Weights::CENTRED && highest / 2 - lowest / 2 < LOPSIDED * std::max(highest, -lowest);
    block.middle = centred ? lowest / 2 + highest / 2 : 0;
    const float largest = std::max(highest - block.middle, block.middle - lowest);
    const float inverse = largest > 0 ? LARGEST_NUMBER / largest : 0;
    Number numbers[COLUMNS];
    uint32_t sum = 0;  // of numbers with a sign; what is no number may overflow
    for (int64_t i = 0; i < COLUMNS; i++) {
        const int32_t number = int32_t(std::nearbyint((input[Weights::column(i)] - block.middle) * inverse));
        numbers[i] = Number(number);
        sum += uint32_t(number);
    }
    std::memcpy(block.steps, numbers, sizeof numbers);
    block.scale = largest / LARGEST_NUMBER + nothing;
    block.sum = block.scale * float(int32_t(sum)) + COLUMNS * block.middle;
    return block;
}

// A weight of a group of columns is `scale * code + offset`.
struct Scales {
    Floats scale[PARTS], offset[PARTS];
};

// As kernels/cpu/weights.py's PackedWeights. A weight is `zero + (code - 8) * scale`. Of 8 columns a tile has 64 bytes, of
// each row two words of 16 bits: the even columns, from the lowest bits up, and the odd ones.
struct Int4Weights {
    typedef int8_t Number;
    typedef FourSums Sums;
    static constexpr bool CENTRED = true;
    static constexpr int BITS = 4;
    static constexpr int64_t STEPS = 8, COLUMNS = 4 * STEPS, BLOCK_BYTES = COLUMNS * TILE * BITS / 8;
    const uint8_t* packed;
    const uint32_t* scales_and_zeros;  // [tiles, columns / group, TILE]: a scale's bfloat16 bits below, a zero's above
    const float* bias;                 // [out_features], or null
    int64_t columns, group, out_features;

    // Of 8 columns, those whose codes are in the lower halves of a row's bytes, and then the others.
    static constexpr int64_t column(int64_t place) {
        return place / 8 * 8 + (place % 2 * 4 + place / 2 % 2 + place / 4 % 2 * 2);
    }

    static Ints codes(const uint8_t* bytes, int64_t step, int64_t part) {
        const Ints eight = loaded<Ints>(bytes + (step / 2 * PARTS + part) * sizeof(Ints));
        return (step % 2 ? eight >> 4 : eight) & 0x0f0f0f0f;
    }
    static void add(Sums& sums, Ints codes, int32_t inputs) { add_four(sums, codes, inputs); }
    // Of codes that were added up, four in a row's 32 bits.
    static Ints code_sums(Ints codes) {
        Sums sums = {};
        add_four(sums, codes, 0x01010101);
        return totals(sums);
    }
    static Ints total(Sums sums) { return totals(sums); }

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
    typedef int16_t Number;
    typedef Ints Sums;
    static constexpr bool CENTRED = false;
    static constexpr int BITS = 8;
    static constexpr int64_t STEPS = 8, COLUMNS = 2 * STEPS, BLOCK_BYTES = COLUMNS * TILE * BITS / 8;
    const uint8_t* packed;
    const uint16_t* bfloat16_scales;  // [tiles, columns / group, TILE]
    const float* bias;                // [out_features], or null
    int64_t columns, group, out_features;

    static constexpr int64_t column(int64_t place) { return place; }

    static Ints codes(const uint8_t* bytes, int64_t step, int64_t part) {
        const Ints four = loaded<Ints>(bytes + (step / 2 * PARTS + part) * sizeof(Ints));
        return (step % 2 ? four >> 8 : four) & 0x00ff00ff;
    }
    static void add(Sums& sums, Ints codes, int32_t inputs) { add_two(sums, codes, inputs); }
    static Ints total(Sums sums) { return sums; }

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

// Inputs as they are multiplied: `blocks` of each, one input after the other. Some have a middle in their `lopsided` blocks.
template <typename Weights>
struct Inputs {
    int64_t blocks;
    std::vector<Block<Weights>> all;
    std::vector<int64_t> lopsided;

    Inputs(const float* numbers, int64_t count, int64_t columns)
        : blocks(columns / Weights::COLUMNS), all(count * blocks) {
#pragma omp parallel for if (count > 4)
        for (int64_t i = 0; i < count * blocks; i++) all[i] = rounded<Weights>(numbers + i * Weights::COLUMNS);
        for (int64_t block = 0; block < blocks * Weights::CENTRED; block++) {
            int64_t i = 0;
            while (i < count && all[i * blocks + block].middle == 0) i++;
            if (i < count) lopsided.push_back(block);
        }
    }
};

// Adds to sums [COUNT, PARTS] of a tile what the middles of COUNT inputs, the first of them `first`, make of it.
template <int64_t COUNT, typename Weights>
void add_middles(const Weights& weights, int64_t tile, const Inputs<Weights>& inputs, int64_t first,
                 Floats (*sums)[PARTS]) {
    for (const int64_t block : inputs.lopsided) {
        bool any = false;
        for (int64_t i = 0; i < COUNT; i++) any |= inputs.all[(first + i) * inputs.blocks + block].middle != 0;
        if (!any) continue;
        const int64_t place = tile * inputs.blocks + block;
        const Scales scales = weights.scales(place * Weights::COLUMNS / weights.group);
        for (int64_t part = 0; part < PARTS; part++) {
            Ints codes = {};
            for (int64_t step = 0; step < Weights::STEPS; step++)
                codes += Weights::codes(weights.packed + place * Weights::BLOCK_BYTES, step, part);
            const Floats weighed = scales.scale[part] * __builtin_convertvector(Weights::code_sums(codes), Floats);
            for (int64_t i = 0; i < COUNT; i++) {
                const float middle = inputs.all[(first + i) * inputs.blocks + block].middle;
                sums[i][part] = multiplied_and_added(weighed, middle + Floats{}, sums[i][part]);
            }
        }
    }
}

// Adds to sums [COUNT, PARTS] what inputs, `blocks` apart, make of a block of codes: `codes_of(step, part)`.
template <int64_t COUNT, typename Weights, typename CodesOf>
inline __attribute__((always_inline)) void add_block(const CodesOf& codes_of, const Scales& scales,
                                                     const Block<Weights>* inputs, int64_t blocks,
                                                     Floats (*sums)[PARTS]) {
    typename Weights::Sums products[COUNT][PARTS] = {};
#pragma GCC unroll 8
    for (int64_t step = 0; step < Weights::STEPS; step++) {
        Ints codes[PARTS];
#pragma GCC unroll 2
        for (int64_t part = 0; part < PARTS; part++) codes[part] = codes_of(step, part);
#pragma GCC unroll 8
        for (int64_t i = 0; i < COUNT; i++)
#pragma GCC unroll 2
            for (int64_t part = 0; part < PARTS; part++)
                Weights::add(products[i][part], codes[part], inputs[i * blocks].steps[step]);
    }
#pragma GCC unroll 8
    for (int64_t i = 0; i < COUNT; i++)
#pragma GCC unroll 2
        for (int64_t part = 0; part < PARTS; part++) {
            const Block<Weights>& input = inputs[i * blocks];
            const Floats zeros = multiplied_and_added(scales.offset[part], input.sum + Floats{}, sums[i][part]);
            const Floats product = __builtin_convertvector(Weights::total(products[i][part]), Floats);
            sums[i][part] = multiplied_and_added(product, scales.scale[part] * input.scale, zeros);
        }
}

// One tile of outputs for COUNT inputs, which are `blocks` apart. For few, codes go from the weight straight to their
// products; for more they are unpacked once.
template <int64_t COUNT, typename Weights>
void multiply_tile(const Weights& weights, int64_t tile, const Inputs<Weights>& all, int64_t first, float* outputs,
                   int64_t stride) {
    constexpr int64_t STEPS = Weights::STEPS, AT_ONCE = std::min(COUNT, INPUTS_IN_REGISTERS);
    const int64_t blocks = all.blocks, blocks_of_group = weights.group / Weights::COLUMNS;
    const int64_t groups = blocks / blocks_of_group;
    const Block<Weights>* inputs = all.all.data() + first * blocks;
    const uint8_t* bytes = weights.packed + tile * blocks * Weights::BLOCK_BYTES;
    Floats sums[COUNT][PARTS] = {};
    for (int64_t group = 0; group < groups; group++) {
        const Scales scales = weights.scales(tile * groups + group);
        for (int64_t block = 0; block < blocks_of_group; block++, inputs++, bytes += Weights::BLOCK_BYTES) {
            const auto packed = [&](int64_t step, int64_t part) { return Weights::codes(bytes, step, part); };
            if constexpr (COUNT == AT_ONCE) {
                add_block<COUNT>(packed, scales, inputs, blocks, sums);
            } else {
                Ints codes[STEPS][PARTS];
#pragma GCC unroll 8
                for (int64_t step = 0; step < STEPS; step++)
#pragma GCC unroll 2
                    for (int64_t part = 0; part < PARTS; part++) codes[step][part] = packed(step, part);
                const auto unpacked = [&](int64_t step, int64_t part) { return codes[step][part]; };
#pragma GCC unroll 1
                for (int64_t i = 0; i < COUNT; i += AT_ONCE)
                    add_block<AT_ONCE>(unpacked, scales, inputs + i * blocks, blocks, sums + i);
            }
        }
    }
    if constexpr (Weights::CENTRED) add_middles<COUNT>(weights, tile, all, first, sums);
    const int64_t first_row = tile * TILE, width = std::min(TILE, weights.out_features - first_row);
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t row = 0; row < width; row++)
            outputs[(first + i) * stride + first_row + row] =
                sums[i][row / LANES][row % LANES] + (weights.bias ? weights.bias[first_row + row] : 0);
}

// The same for all inputs from the `first` on, COUNT at once and then the rest.
template <int64_t COUNT, typename Weights>
void multiply_tile_from(int64_t first, const Weights& weights, int64_t tile, const Inputs<Weights>& inputs, int64_t count,
                        float* outputs, int64_t stride) {
    for (; first + COUNT <= count; first += COUNT) multiply_tile<COUNT>(weights, tile, inputs, first, outputs, stride);
    constexpr int64_t FEWER = std::min(COUNT / 2, INPUTS_IN_REGISTERS);
    if constexpr (COUNT > 1) multiply_tile_from<FEWER>(first, weights, tile, inputs, count, outputs, stride);
}

// outputs [count, out_features] = numbers [count, columns] @ weights.T + bias; `stride` numbers lie from row to row
template <typename Weights>
void multiply(const Weights& weights, const float* numbers, int64_t count, float* outputs, int64_t stride) {
    const Inputs<Weights> inputs(numbers, count, weights.columns);
#pragma omp parallel for
    for (int64_t tile = 0; tile < (weights.out_features + TILE - 1) / TILE; tile++)
        multiply_tile_from<INPUTS_AT_ONCE>(0, weights, tile, inputs, count, outputs, stride);
}

}  // namespace
