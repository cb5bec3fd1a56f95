// What our CUDA kernels use of CUDA, on a CPU: a thread for each thread of a block, one block after the other. Where
// lanes of a warp work together they wait for each other. How the operands of m16n8k16 lie in the lanes' registers is
// written here once more, from the PTX manual ("Matrix Fragments for mma.m16n8k16").

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

using std::max;
using std::min;

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __restrict__

struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) float4 { float x, y, z, w; };
struct dim3 { unsigned x, y, z; };

inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
template <class T> T __ldg(const T* from) { return *from; }
template <class T> T __ldcg(const T* from) { return *from; }
inline float __int_as_float(unsigned bits) { float value; std::memcpy(&value, &bits, 4); return value; }

inline thread_local dim3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
inline float shared[1 << 16];  // what a launch asks for

// ---- numbers of 16 bits
inline float bfloat16_value(unsigned bits) { return __int_as_float(bits << 16); }
inline unsigned bfloat16_bits(double value) {  // the nearest, of two the even one
    float cut = (float)value;
    unsigned bits;
    std::memcpy(&bits, &cut, 4);
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}
#ifdef FP16
inline float half_value(unsigned bits) { uint16_t cut = bits; _Float16 value; std::memcpy(&value, &cut, 2); return value; }
inline unsigned half_bits_of(float value) { _Float16 cut = value; uint16_t bits; std::memcpy(&bits, &cut, 2); return bits; }
#else
inline float half_value(unsigned bits) { return bfloat16_value(bits); }
inline unsigned half_bits_of(float value) { return bfloat16_bits(value); }
#endif

inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    uint64_t both = (uint64_t)high << 32 | low;
    unsigned picked = 0;
    for (int at = 0; at < 4; ++at) picked |= (unsigned)(both >> (selector >> 4 * at & 7) * 8 & 255) << 8 * at;
    return picked;
}

// ---- threads that work together
struct Warp {
    std::barrier<> lanes{32};
    unsigned operands[32][6];
    float values[32];
};
inline std::vector<std::unique_ptr<Warp>> warps;
inline std::unique_ptr<std::barrier<>> block;
inline Warp& own_warp() { return *warps[threadIdx.x / 32]; }
inline int own_lane() { return threadIdx.x % 32; }

inline void __syncthreads() { block->arrive_and_wait(); }
inline void __syncwarp() { own_warp().lanes.arrive_and_wait(); }
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline int atomicAdd(int* to, int more) { return std::atomic_ref<int>(*to).fetch_add(more); }

inline float __shfl_sync(unsigned, float value, int from) {
    Warp& warp = own_warp();
    warp.values[own_lane()] = value;
    warp.lanes.arrive_and_wait();
    float got = warp.values[from];
    warp.lanes.arrive_and_wait();
    return got;
}
inline float __shfl_xor_sync(unsigned mask, float value, int other) {
    return __shfl_sync(mask, value, own_lane() ^ other);
}

inline void multiply(float (&sums)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
    Warp& warp = own_warp();
    unsigned mine[6] = {a0, a1, a2, a3, b0, b1};
    std::memcpy(warp.operands[own_lane()], mine, sizeof mine);
    warp.lanes.arrive_and_wait();
    auto half = [&](int lane, int place, int which) { return half_value(warp.operands[lane][place] >> 16 * which & 0xFFFF); };
    for (int i = 0; i < 4; ++i) {
        int row = own_lane() / 4 + i / 2 * 8, column = own_lane() % 4 * 2 + i % 2;
        float sum = 0;
        for (int k = 0; k < 16; ++k)
            sum += half(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2, k % 2) * half(column * 4 + k % 8 / 2, 4 + k / 8, k % 2);
        sums[i] += sum;
    }
    warp.lanes.arrive_and_wait();
}

// ---- in the place of single instructions
template <class T> T streamed(const T* from) { return *from; }
inline float power_of_two(float exponent) { return std::exp2(exponent); }
inline unsigned rounded(float low, float high) { return half_bits_of(high) << 16 | half_bits_of(low); }
inline unsigned short rounded(float value) { return bfloat16_bits(value); }
inline unsigned multiply_add(unsigned a, unsigned b, unsigned c) {
    auto one = [](unsigned a, unsigned b, unsigned c) {
        return bfloat16_bits((double)bfloat16_value(a) * bfloat16_value(b) + bfloat16_value(c));
    };
    return one(a >> 16, b >> 16, c >> 16) << 16 | one(a & 0xFFFF, b & 0xFFFF, c & 0xFFFF);
}

template <class Kernel> void launch(dim3 grid, unsigned threads, Kernel kernel) {
    gridDim = grid;
    blockDim = {threads, 1, 1};
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) {
                block = std::make_unique<std::barrier<>>(threads);
                warps.clear();
                for (unsigned at = 0; at < threads / 32; ++at) warps.push_back(std::make_unique<Warp>());
                std::vector<std::jthread> running;
                for (unsigned thread = 0; thread < threads; ++thread)
                    running.emplace_back([=] {
                        threadIdx = {thread, 0, 0};
                        blockIdx = {x, y, z};
                        kernel();
                    });
            }
}
