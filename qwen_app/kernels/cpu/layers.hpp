// A decode step through all layers in one go: between calls from Python a small model would wait longer than for its
// weights.

#pragma once

#include <vector>

#include "decode_attention.hpp"
#include "products.hpp"
#include "step.hpp"

namespace {

constexpr int64_t MOST_PARTS = 3;

// As kernels/cpu/layers.py's ProjectionPart: outputs of a projection whose weights are packed alike. Of 0 bits, none.
struct Part {
    int64_t bits;
    union {
        Int4Weights four;
        Int8Weights eight;
    };

    int64_t out_features() const { return bits == Int4Weights::BITS ? four.out_features : bits ? eight.out_features : 0; }
};

// As kernels/cpu/layers.py's Projection: outputs of its parts side by side.
struct Projection {
    Part parts[MOST_PARTS];

    int64_t out_features() const {
        int64_t total = 0;
        for (const Part& part : parts) total += part.out_features();
        return total;
    }
};

void multiply(const Projection& projection, const float* inputs, int64_t count, float* outputs) {
    const int64_t stride = projection.out_features();
    for (const Part& part : projection.parts) {
        if (part.bits == Int4Weights::BITS) multiply(part.four, inputs, count, outputs, stride);
        if (part.bits == Int8Weights::BITS) multiply(part.eight, inputs, count, outputs, stride);
        outputs += part.out_features();
    }
}

// As kernels/cpu/layers.py's Layer.
struct Layer {
    const float *attention_norm, *head_norms, *mlp_norm;  // head_norms may be null: see rotate_and_store
    float *keys, *values;
    Projection qkv, output, gate_up, down;
};

// As kernels/cpu/layers.py's Shape.
struct Shape {
    int64_t hidden_size, query_heads, kv_heads, dim;
    float eps, scaling;
};

// One token a row: where its key and value go, and what it sees.
struct Rows {
    int64_t count;
    const float *cos, *sin;
    const int64_t *cells, *first_cells, *ends;
};

// `hidden` [rows, hidden_size] is changed in place; what is yet to be added to it comes in `added`.
void through(const Layer& layer, const Shape& shape, const Rows& rows, bool first, float* hidden, float* added) {
    const int64_t queries = shape.query_heads * shape.dim;
    const int64_t both_sizes = layer.gate_up.out_features(), size = both_sizes / 2;
    std::vector<float> normed(rows.count * shape.hidden_size), qkv(rows.count * layer.qkv.out_features()),
        query(rows.count * queries), attended(rows.count * queries), both(rows.count * both_sizes),
        gated(rows.count * size);
    add_rms_norm(hidden, first ? nullptr : added, layer.attention_norm, hidden, normed.data(), rows.count,
                 shape.hidden_size, shape.eps);
    multiply(layer.qkv, normed.data(), rows.count, qkv.data());
    rotate_and_store(qkv.data(), layer.head_norms, rows.cos, rows.sin, rows.cells, layer.keys, layer.values,
                     query.data(), rows.count, shape.query_heads, shape.kv_heads, shape.dim, shape.eps);
    attend({query.data(), layer.keys, layer.values, rows.first_cells, rows.ends, shape.scaling, rows.count,
            shape.query_heads, shape.kv_heads},
           attended.data(), shape.dim);
    multiply(layer.output, attended.data(), rows.count, added);
    add_rms_norm(hidden, added, layer.mlp_norm, hidden, normed.data(), rows.count, shape.hidden_size, shape.eps);
    multiply(layer.gate_up, normed.data(), rows.count, both.data());
    gate(both.data(), gated.data(), rows.count, size);
    multiply(layer.down, gated.data(), rows.count, added);
}

}  // namespace
