// Attention of rows of one token over their conversations, on a CPU.
//
// Keys of a conversation are cut into pieces, which threads take as they come; what they found is put together at the
// end (as flash decoding does on a card).

#pragma once

#include <algorithm>
#include <vector>

#include "numbers.hpp"

namespace {

constexpr int64_t SPLIT_KEYS = 256;         // keys of a head that one thread attends to at once
constexpr int64_t KEYS_AHEAD = 32;          // of the one looked at are fetched
constexpr int64_t PRODUCTS_WORTH_THREADS = 1 << 18;  // waking threads for fewer takes longer than it saves

// query [rows, query_heads, dim]; keys, values [cells, kv_heads, dim]. Row r sees the cells from first_cells[r] on,
// ends[r] of them.
struct Attention {
    const float *query, *keys, *values;
    const int64_t *first_cells, *ends;
    float scaling;
    int64_t rows, query_heads, kv_heads;

    int64_t share() const { return query_heads / kv_heads; }
};

// What a thread attends to at once: some keys of one KV head, for the query heads of one row that share it.
struct Piece {
    int64_t row, kv_head, start, end;
};

std::vector<Piece> pieces_of(const Attention& all) {
    std::vector<Piece> pieces;
    for (int64_t row = 0; row < all.rows; row++)
        for (int64_t head = 0; head < all.kv_heads; head++)
            for (int64_t start = 0; start < all.ends[row]; start += SPLIT_KEYS)
                pieces.push_back({row, head, start, std::min(start + SPLIT_KEYS, all.ends[row])});
    return pieces;
}

// The softmax over a piece by itself: the largest score, the sum of powers, and the values weighed by these.
template <int64_t DIM>
struct Partial {
    float largest, sum, weighed[DIM];
};

// What is to be read soon comes nearer meanwhile: into the second level, for the first is too small. A processor does not
// foresee heads by itself, as what lies between them is skipped.
template <int64_t DIM>
void fetch(const float* numbers) {
    for (int64_t i = 0; i < DIM; i += 16) __builtin_prefetch(numbers + i, 0, 2);
}

// DIM is known to the compiler, which so keeps what it sums in registers.
template <int64_t DIM>
void attend_to(const Attention& all, const Piece& piece, Partial<DIM>* partials) {
    const int64_t step = all.kv_heads * DIM, count = piece.end - piece.start;
    const int64_t first = (all.first_cells[piece.row] + piece.start) * step + piece.kv_head * DIM;
    const float *keys = all.keys + first, *values = all.values + first;
    const float* query = all.query + (piece.row * all.query_heads + piece.kv_head * all.share()) * DIM;
    for (int64_t head = 0; head < all.share(); head++) {
        float scores[SPLIT_KEYS], weighed[DIM] = {}, largest = -INFINITY, sum = 0;
        for (int64_t key = 0; key < count; key++) {
            if (head == 0) {
                fetch<DIM>(keys + (key + KEYS_AHEAD) * step);
                fetch<DIM>(values + key * step);
            }
            scores[key] = all.scaling * dot(query + head * DIM, keys + key * step, DIM);
            largest = std::max(largest, scores[key]);
        }
        for (int64_t key = 0; key < count; key++) {
            scores[key] = exponential(scores[key] - largest);
            sum += scores[key];
        }
        for (int64_t key = 0; key < count; key++)
            for (int64_t i = 0; i < DIM; i++) weighed[i] += scores[key] * values[key * step + i];
        partials[head].largest = largest;
        partials[head].sum = sum;
        std::copy_n(weighed, DIM, partials[head].weighed);
    }
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
    const int64_t count = pieces.size(), share = all.share();
    std::vector<Partial<DIM>> partials(count * share);
#pragma omp parallel for schedule(dynamic) if (count * share * SPLIT_KEYS * DIM >= PRODUCTS_WORTH_THREADS)
    for (int64_t i = 0; i < count; i++) attend_to<DIM>(all, pieces[i], partials.data() + i * share);
    for (int64_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && pieces[end].start > 0;) end++;
        float* place = output + (pieces[first].row * all.query_heads + pieces[first].kv_head * share) * DIM;
        for (int64_t head = 0; head < share; head++)
            merge<DIM>(partials.data() + first * share + head, end - first, share, place + head * DIM);
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
