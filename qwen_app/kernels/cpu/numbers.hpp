// What several kernels compute with.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// e to the power of x, to 2 units in the last place; 88 is the largest power that float32 has. By Cephes' polynomial.
inline float exponential(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    const float whole = std::floor(x * 1.44269504f + 0.5f);
    // ln 2 in two parts, by operations that are not put together again.
    const float rest = std::fma(whole, 2.12194440e-4f, std::fma(whole, -0.693359375f, x));
    float power = 1.9875691500e-4f;
    power = power * rest + 1.3981999507e-3f;
    power = power * rest + 8.3334519073e-3f;
    power = power * rest + 4.1665795894e-2f;
    power = power * rest + 1.6666665459e-1f;
    power = power * rest + 5.0000001201e-1f;
    power = power * rest * rest + rest + 1.0f;
    const uint32_t exponent = uint32_t(int32_t(whole) + 127) << 23;
    float scale;
    std::memcpy(&scale, &exponent, sizeof scale);
    return power * scale;
}

inline float dot(const float* left, const float* right, int64_t size) {
    float sum = 0;
    for (int64_t i = 0; i < size; i++) sum += left[i] * right[i];
    return sum;
}
