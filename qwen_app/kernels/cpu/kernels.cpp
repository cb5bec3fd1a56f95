// What Python calls, by ctypes, of the headers beside this file. All numbers are float32; counts are int64.

#include "decode_attention.hpp"
#include "layers.hpp"
#include "products.hpp"
#include "step.hpp"

extern "C" {

void qwen_add_rms_norm(const float* hidden, const float* added, const float* weight, float* total, float* normed,
                       int64_t tokens, int64_t size, float eps) {
    add_rms_norm(hidden, added, weight, total, normed, tokens, size, eps);
}

void qwen_rotate_and_store(const float* qkv, const float* norms, const float* cos, const float* sin,
                           const int64_t* cells, float* keys, float* values, float* query, int64_t tokens,
                           int64_t query_heads, int64_t kv_heads, int64_t dim, float eps) {
    rotate_and_store(qkv, norms, cos, sin, cells, keys, values, query, tokens, query_heads, kv_heads, dim, eps);
}

void qwen_gate(const float* gate_up, float* gated, int64_t tokens, int64_t size) {
    gate(gate_up, gated, tokens, size);
}

bool qwen_attend(const float* query, const float* keys, const float* values, const int64_t* first_cells,
                 const int64_t* ends, float scaling, float* output, int64_t rows, int64_t query_heads,
                 int64_t kv_heads, int64_t dim) {
    return attend({query, keys, values, first_cells, ends, scaling, rows, query_heads, kv_heads}, output, dim);
}

// Whether this processor has the instructions for products.
bool qwen_products_serve() { return SERVES; }

void qwen_int4_product(const Int4Weights* weights, const float* inputs, int64_t count, float* outputs) {
    multiply(*weights, inputs, count, outputs, weights->out_features);
}

void qwen_int8_product(const Int8Weights* weights, const float* inputs, int64_t count, float* outputs) {
    multiply(*weights, inputs, count, outputs, weights->out_features);
}

// `added` [rows, hidden_size] holds nothing before.
void qwen_layers(const Layer* layers, int64_t count, const Shape* shape, const Rows* rows, float* hidden,
                 float* added) {
    for (int64_t i = 0; i < count; i++) through(layers[i], *shape, *rows, i == 0, hidden, added);
}
}
