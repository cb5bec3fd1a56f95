// Attention of rows of one token over their conversations, on a CPU.
//
// Keys of a conversation are cut into pieces, which threads take as they come; what they found is put together at the
// end (as flash decoding does on a card). Rows that follow each other in one conversation read its keys together. What
// comes out for a row does not depend on the rows beside it.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "numbers.hpp"

namespace {

constexpr int64_t SPLIT_KEYS = 64;        // that one thread attends to at once, with all their heads
constexpr int64_t QUERIES_AT_ONCE = 128;  // that read keys together, at most; those of one row always do
constexpr int64_t KEYS_AT_ONCE = 8;
constexpr int64_t VALUES_AT_ONCE = 32;               // stay near while all queries weigh them
constexpr int64_t PRODUCTS_WORTH_THREADS = 1 << 18;  // waking threads for fewer takes longer than it saves

typedef float Eight __attribute__((vector_size(4 * KEYS_AT_ONCE)));

// query [rows, query_heads, dim]; keys, values [cells, kv_heads, dim]. Row r sees the cells from first_cells[r] on,
// ends[r] of them.
struct Attention {
    const float *query, *keys, *values;
    const int64_t *first_cells, *ends;
    float scaling;
    int64_t rows, query_heads, kv_heads;

    int64_t share() const { return query_heads / kv_heads; }
};

// What a thread attends to at once: some keys, for rows that follow each other in one conversation. What it finds for
// their queries comes from `found` on.
struct Piece {
    int64_t row, rows, start, end, found;
};

int64_t rows_together(const Attention& all, int64_t first) {
    const int64_t most = std::max(QUERIES_AT_ONCE / all.query_heads, int64_t(1));
    int64_t rows = 1;
    while (rows < most && first + rows < all.rows && all.first_cells[first + rows] == all.first_cells[first] &&
           all.ends[first + rows] == all.ends[first] + rows)
        rows++;
    return rows;
}

std::vector<Piece> pieces_of(const Attention& all) {
    std::vector<Piece> pieces;
    for (int64_t row = 0, rows, found = 0; row < all.rows; row += rows) {
        rows = rows_together(all, row);
        const int64_t end = all.ends[row + rows - 1];
        for (int64_t start = 0; start < end; start += SPLIT_KEYS, found += rows * all.query_heads)
            pieces.push_back({row, rows, start, std::min(start + SPLIT_KEYS, end), found});
    }
    return pieces;
}

// The softmax over a piece by itself: the largest score, the sum of powers, and the values weighed by these.
template <int64_t DIM>
struct Partial {
    float largest, sum, weighed[DIM];
};

Eight eight_of(const float* numbers) {
    Eight eight;
    std::memcpy(&eight, numbers, sizeof eight);
    return eight;
}

// Each of eight vectors added up.
Eight added_up(const Eight* vectors) {
    Eight twos[4], fours[2];
    for (int i = 0; i < 4; i++) {
        const Eight left = vectors[2 * i], right = vectors[2 * i + 1];
        twos[i] = __builtin_shufflevector(left, right, 0, 8, 1, 9, 4, 12, 5, 13) +
                  __builtin_shufflevector(left, right, 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 2; i++)
        fours[i] = __builtin_shufflevector(twos[2 * i], twos[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                   __builtin_shufflevector(twos[2 * i], twos[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

// One query [DIM] times eight keys. Meanwhile eight rows from `next` on, `step` apart, come nearer: a processor does
// not foresee heads by itself, as what lies between them is skipped. Into the second level, for the first is too small; and
// not all at once, for so many loads would hold up all others.
template <int64_t DIM>
Eight products(const float* query, const float* const* keys, const float* next, int64_t step) {
    Eight sums[KEYS_AT_ONCE] = {};
#pragma GCC unroll 1
    for (int64_t i = 0; i < DIM; i += 8) {
        const float* part = next + 8 * i / DIM * step + 8 * i % DIM;
        for (int64_t line = 0; line < 4; line++) __builtin_prefetch(part + 16 * line, 0, 2);
#pragma GCC unroll 8
        for (int64_t key = 0; key < KEYS_AT_ONCE; key++) sums[key] += eight_of(query + i) * eight_of(keys[key] + i);
    }
    return added_up(sums);
}

// weighed [DIM] += weights [count] @ values [count, DIM], `step` apart
template <int64_t DIM>
void add_weighed(const float* weights, const float* values, int64_t step, int64_t count, float* weighed) {
    constexpr int64_t SUMS_IN_REGISTERS = DIM % 64 == 0 ? 8 : DIM % 32 == 0 ? 4 : 2;
    for (int64_t first = 0; first < DIM; first += 8 * SUMS_IN_REGISTERS) {
        Eight sums[SUMS_IN_REGISTERS];
        std::memcpy(sums, weighed + first, sizeof sums);
#pragma GCC unroll 1
        for (int64_t key = 0; key < count; key++)
#pragma GCC unroll 8
            for (int64_t i = 0; i < SUMS_IN_REGISTERS; i++)
                sums[i] += weights[key] * eight_of(values + key * step + first + 8 * i);
        std::memcpy(weighed + first, sums, sizeof sums);
    }
}

// The softmax of `count` scores, before they are divided by their sum: these become weights.
template <int64_t DIM>
void weigh(float* scores, int64_t count, float scaling, Partial<DIM>& partial) {
    float largest = -INFINITY, sum = 0;
    for (int64_t key = 0; key < count; key++) largest = std::max(largest, scores[key]);
    for (int64_t key = 0; key < count; key++) {
        scores[key] = exponential(scaling * (scores[key] - largest));
        sum += scores[key];
    }
    partial = {scaling * largest, sum, {}};
}

// DIM is known to the compiler, which so keeps what it sums in registers.
template <int64_t DIM>
void attend_to(const Attention& all, const Piece& piece, Partial<DIM>* partials) {
    const int64_t share = all.share(), heads = all.query_heads, step = all.kv_heads * DIM;
    const int64_t first = (all.first_cells[piece.row] + piece.start) * step, count = piece.end - piece.start;
    const float *keys = all.keys + first, *values = all.values + first, *queries = all.query + piece.row * heads * DIM;
    std::vector<float> scores(piece.rows * heads * SPLIT_KEYS);
    const auto seen = [&](int64_t query) {
        return std::clamp(all.ends[piece.row + query / heads] - piece.start, int64_t(0), count);
    };
    const auto each_query_of = [&](int64_t kv_head, auto&& take) {
        for (int64_t row = 0; row < piece.rows; row++)
            for (int64_t i = 0; i < share; i++) take(row * heads + kv_head * share + i);
    };

    for (int64_t key = 0; key < count; key += KEYS_AT_ONCE)
        for (int64_t kv_head = 0; kv_head < all.kv_heads; kv_head++) {
            const int64_t place = key * step + kv_head * DIM;
            const float* eight[KEYS_AT_ONCE];
            for (int64_t i = 0; i < KEYS_AT_ONCE; i++)
                eight[i] = keys + std::min(key + i, count - 1) * step + kv_head * DIM;
            each_query_of(kv_head, [&](int64_t query) {
                const float* next = query % share ? values + place : keys + place + KEYS_AT_ONCE * step;
                const Eight some = products<DIM>(queries + query * DIM, eight, next, step);
                std::memcpy(scores.data() + query * SPLIT_KEYS + key, &some, sizeof some);
            });
        }
    for (int64_t query = 0; query < piece.rows * heads; query++)
        weigh(scores.data() + query * SPLIT_KEYS, seen(query), all.scaling, partials[query]);
    for (int64_t key = 0; key < count; key += VALUES_AT_ONCE)
        for (int64_t kv_head = 0; kv_head < all.kv_heads; kv_head++)
            each_query_of(kv_head, [&](int64_t query) {
                add_weighed<DIM>(scores.data() + query * SPLIT_KEYS + key, values + key * step + kv_head * DIM, step,
                                 std::min(seen(query) - key, VALUES_AT_ONCE), partials[query].weighed);
            });
}

// One head's output, of `count` pieces that lie `stride` apart.
template <int64_t DIM>
void merge(const Partial<DIM>* partials, int64_t count, int64_t stride, float* output) {
    float largest = -INFINITY, sum = 0, mixed[DIM] = {};
    for (int64_t i = 0; i < count; i++) largest = std::max(largest, partials[i * stride].largest);
    for (int64_t i = 0; i < count; i++) {
        const Partial<DIM>& partial = partials[i * stride];
        const float weight = exponential(partial.largest - largest);
        sum += weight * partial.sum;
        for (int64_t d = 0; d < DIM; d++) mixed[d] += weight * partial.weighed[d];
    }
    for (int64_t d = 0; d < DIM; d++) output[d] = mixed[d] / sum;
}

template <int64_t DIM>
bool attend(const Attention& all, float* output) {
    const std::vector<Piece> pieces = pieces_of(all);
    const int64_t count = pieces.size();
    std::vector<Partial<DIM>> partials(count ? pieces.back().found + pieces.back().rows * all.query_heads : 0);
#pragma omp parallel for schedule(dynamic) if (partials.size() * SPLIT_KEYS * DIM >= PRODUCTS_WORTH_THREADS)
    for (int64_t i = 0; i < count; i++) attend_to<DIM>(all, pieces[i], partials.data() + pieces[i].found);
    for (const Piece& piece : pieces) {
        if (piece.start > 0) continue;  // what was found of it lies behind that of the first
        const int64_t queries = piece.rows * all.query_heads;
        for (int64_t query = 0; query < queries; query++) {
            const int64_t row = piece.row + query / all.query_heads;
            merge<DIM>(partials.data() + piece.found + query, (all.ends[row] + SPLIT_KEYS - 1) / SPLIT_KEYS, queries,
                       output + (piece.row * all.query_heads + query) * DIM);
        }
    }
    return true;
}

// Whether heads of `dim` numbers are served.
bool attend(const Attention& all, float* output, int64_t dim) {
    switch (dim) {
        case 16: return attend<16>(all, output);
        case 32: return attend<32>(all, output);
        case 64: return attend<64>(all, output);
        case 80: return attend<80>(all, output);
        case 96: return attend<96>(all, output);
        case 128: return attend<128>(all, output);
        case 256: return attend<256>(all, output);
    }
    return false;
}

}  // namespace
