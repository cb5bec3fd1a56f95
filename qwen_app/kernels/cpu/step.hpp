// What a decode step does between its products, on a CPU: norms, rotary positions, the cache's cells, the MLP's gate.
//
// By torch's operators that is some thirty calls a layer of a few microseconds each, more than a small model's products
// take. Loops are written plainly, for the compiler to vectorise for the machine it runs on. All numbers are float32.

#pragma once

#include "numbers.hpp"

namespace {

constexpr int64_t NUMBERS_WORTH_THREADS = 1 << 15;  // waking threads for fewer takes longer than it saves

float inverse_rms(const float* row, int64_t size, float eps) {
    return 1.0f / std::sqrt(dot(row, row, size) / float(size) + eps);
}

// One head turned by its token's angles, and weighed by `norm` after its RMS norm where there is one.
void turn(const float* head, const float* norm, float eps, const float* cos, const float* sin, float* turned,
          int64_t dim) {
    const float scale = norm ? inverse_rms(head, dim, eps) : 1.0f;
    const auto number = [&](int64_t i) { return norm ? head[i] * scale * norm[i] : head[i]; };
    const int64_t half = dim / 2;
    for (int64_t i = 0; i < half; i++) {
        const float low = number(i), high = number(i + half);
        turned[i] = low * cos[i] + high * sin[i];
        turned[i + half] = high * cos[i + half] + low * sin[i + half];
    }
}

// hidden, added, total, normed [tokens, size]; weight [size]. Without `added`, `hidden` is the total.
void add_rms_norm(const float* hidden, const float* added, const float* weight, float* total, float* normed,
                       int64_t tokens, int64_t size, float eps) {
#pragma omp parallel for if (tokens * size >= NUMBERS_WORTH_THREADS)
    for (int64_t token = 0; token < tokens; token++) {
        const float* row = hidden + token * size;
        if (added) {
            float* sums = total + token * size;
            for (int64_t i = 0; i < size; i++) sums[i] = row[i] + added[token * size + i];
            row = sums;
        }
        const float scale = inverse_rms(row, size, eps);
        for (int64_t i = 0; i < size; i++) normed[token * size + i] = row[i] * scale * weight[i];
    }
}

// qkv [tokens, query_heads + 2 * kv_heads, dim]; norms [query_heads + kv_heads, dim] or null; cos, sin [tokens, dim];
// keys, values [cells, kv_heads, dim]; query [tokens, query_heads, dim].
void rotate_and_store(const float* qkv, const float* norms, const float* cos, const float* sin,
                           const int64_t* cells, float* keys, float* values, float* query, int64_t tokens,
                           int64_t query_heads, int64_t kv_heads, int64_t dim, float eps) {
    const int64_t turning = query_heads + kv_heads, all = turning + kv_heads;
#pragma omp parallel for if (tokens * all * dim >= NUMBERS_WORTH_THREADS)
    for (int64_t token = 0; token < tokens; token++) {
        const float* row = qkv + token * all * dim;
        for (int64_t head = 0; head < turning; head++) {
            float* place = head < query_heads ? query + (token * query_heads + head) * dim
                                              : keys + (cells[token] * kv_heads + head - query_heads) * dim;
            turn(row + head * dim, norms ? norms + head * dim : nullptr, eps, cos + token * dim, sin + token * dim,
                 place, dim);
        }
        std::memcpy(values + cells[token] * kv_heads * dim, row + turning * dim, kv_heads * dim * sizeof(float));
    }
}

// gate_up [tokens, 2 * size]; gated [tokens, size].
void gate(const float* gate_up, float* gated, int64_t tokens, int64_t size) {
#pragma omp parallel for if (tokens * size >= NUMBERS_WORTH_THREADS)
    for (int64_t token = 0; token < tokens; token++) {
        const float *gate = gate_up + token * 2 * size, *up = gate + size;
        for (int64_t i = 0; i < size; i++)
            gated[token * size + i] = gate[i] / (1.0f + exponential(-gate[i])) * up[i];
    }
}

}  // namespace
