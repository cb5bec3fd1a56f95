// What our kernels in CUDA C++ share. Whoever compiles them defines BF16 or FP16: the numbers that are multiplied.

typedef unsigned int u32;

#define LANES 32

#ifdef BF16
#define KIND "bf16"
#else
#define KIND "f16"
#endif

// What is read once is not to drive out of the L1 cache what is read again.
__device__ __forceinline__ uint4 streamed(const uint4* from) {
    uint4 value;
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w) : "l"(from));
    return value;
}

__device__ __forceinline__ uint2 streamed(const uint2* from) {
    uint2 value;
    asm volatile("ld.global.L1::no_allocate.v2.u32 {%0,%1}, [%2];" : "=r"(value.x), "=r"(value.y) : "l"(from));
    return value;
}

__device__ __forceinline__ u32 streamed(const u32* from) {
    u32 value;
    asm volatile("ld.global.L1::no_allocate.u32 %0, [%1];" : "=r"(value) : "l"(from));
    return value;
}

// A product of 16 x 16 and 16 x 8 numbers, added to float32 sums; operands lie in a warp's lanes as PTX's m16n8k16 has
// them.
__device__ __forceinline__ void multiply(float (&sums)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." KIND "." KIND ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
                 "{%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
