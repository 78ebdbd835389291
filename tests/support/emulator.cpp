// Runs the kernels of temporal_shift.cu on a CPU, thread by thread, so that a wrong index shows without a GPU.

struct Dimension { unsigned x; };
static Dimension blockIdx, threadIdx, blockDim{256};
#define __global__
#define __device__

#include "temporal_shift.cu"

template <typename Kernel>
static void for_each_thread(long long blocks, Kernel kernel) {
  for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
    for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x) kernel();
}

#define RUN(BYTES, ELEMENT, LANES, BITS, INDEX)                                                                     \
  extern "C" void run_clip_##BYTES##_##LANES##_##BITS(                                                              \
      long long blocks, const ELEMENT* x, ELEMENT* out, INDEX streams, INDEX snippets, INDEX outer, INDEX inner,    \
      INDEX first, INDEX second, int step, int circulant) {                                                         \
    for_each_thread(blocks, [&] {                                                                                   \
      clip_##BYTES##_##LANES##_##BITS(x, out, streams, snippets, outer, inner, first, second, step, circulant);     \
    });                                                                                                             \
  }                                                                                                                 \
  extern "C" void run_chunk_##BYTES##_##LANES##_##BITS(                                                             \
      long long blocks, const ELEMENT* x, ELEMENT* out, const ELEMENT* before, ELEMENT* after,                      \
      const long long* index, INDEX streams, INDEX snippets, INDEX outer, INDEX inner, INDEX first, int reverse,    \
      int whole) {                                                                                                  \
    for_each_thread(blocks, [&] {                                                                                   \
      chunk_##BYTES##_##LANES##_##BITS(x, out, before, after, index, streams, snippets, outer, inner, first,        \
                                       reverse, whole);                                                             \
    });                                                                                                             \
  }

#define RUN_BITS(BYTES, ELEMENT, LANES) RUN(BYTES, ELEMENT, LANES, 32, int) RUN(BYTES, ELEMENT, LANES, 64, long long)

RUN_BITS(2, unsigned short, 8)
RUN_BITS(2, unsigned short, 1)
RUN_BITS(4, unsigned int, 4)
RUN_BITS(4, unsigned int, 1)
RUN_BITS(8, unsigned long long, 2)
RUN_BITS(8, unsigned long long, 1)
