// The temporal shift (TSM, arXiv:1811.08383, sections 3 and 4) as a move of memory.
//
// A tensor is `streams * snippets` rows of `outer` runs of `inner` elements; the first `first` elements of a run move
// in time, in clip_* those up to `second` the other way, and the rest stay. That is both memory formats:
//
//     contiguous     (B T, C, H, W)   outer = 1        inner = C H W    first = F H W
//     channels_last  (B T, H, W, C)   outer = H W      inner = C        first = F
//
// An element is 2, 4 or 8 bytes, whatever it means. A thread moves a unit of LANES elements of one run: 16 bytes where
// the runs and the pointers allow it, else one element. A unit may lie across a border; each lane asks for itself.
//
// The same file compiles as C++, where the tests run every thread in a loop.

template <typename Element, int LANES>
struct alignas(sizeof(Element) * LANES) Unit {
  Element lane[LANES];
};

// Where element `e` of a run comes from: +1 the snippet after, -1 the one before, 0 its own.
template <typename Index>
__device__ inline int origin(Index e, Index first, Index second, int step) {
  return e < first ? step : e < second ? -step : 0;
}

// Whole clips: out[t] = x[t + origin]; past the ends zeros, or with `circulant` the other end.
template <typename Element, int LANES, typename Index>
__device__ inline void clip(const Element* x, Element* out, Index streams, Index snippets, Index outer, Index inner,
                            Index first, Index second, int step, int circulant, Index thread) {
  const Index units = inner / LANES;
  if (thread >= streams * snippets * outer * units) return;
  const Index start = thread % units * LANES;
  const Index run = thread / units % outer;
  const Index row = thread / units / outer;
  const Index t = row % snippets;
  Unit<Element, LANES> result;
  int loaded = 2;  // the origin that `source` holds; 2 for none yet
  Unit<Element, LANES> source;
#pragma unroll
  for (int lane = 0; lane < LANES; ++lane) {
    const int from = origin(start + lane, first, second, step);
    if (from != loaded) {
      Index there = t + from;
      if (circulant) there = (there + snippets) % snippets;
      if (there >= 0 && there < snippets)
        source = *reinterpret_cast<const Unit<Element, LANES>*>(x + ((row - t + there) * outer + run) * inner + start);
      else
        source = Unit<Element, LANES>{};
      loaded = from;
    }
    result.lane[lane] = source.lane[lane];
  }
  *reinterpret_cast<Unit<Element, LANES>*>(out + (row * outer + run) * inner + start) = result;
}

// Reads or writes a unit of a leaf, whose runs have `first` elements: at once where `whole`, else lane by lane.
template <typename Element, int LANES, typename Index>
__device__ inline Unit<Element, LANES> read_leaf(const Element* leaf, Index start, Index first, int whole) {
  Unit<Element, LANES> unit{};
  if (whole && start < first) return *reinterpret_cast<const Unit<Element, LANES>*>(leaf + start);
#pragma unroll
  for (int lane = 0; lane < LANES; ++lane)
    if (start + lane < first) unit.lane[lane] = leaf[start + lane];
  return unit;
}

template <typename Element, int LANES, typename Index>
__device__ inline void write_leaf(Element* leaf, const Unit<Element, LANES>& unit, Index start, Index first, int whole) {
  if (whole && start < first) {
    *reinterpret_cast<Unit<Element, LANES>*>(leaf + start) = unit;
    return;
  }
#pragma unroll
  for (int lane = 0; lane < LANES; ++lane)
    if (start + lane < first) leaf[start + lane] = unit.lane[lane];
}

// With state: the first snippet gets what `before` holds, each other one its neighbour's, and `after` the last one's.
// `before` and `after` may be the same pool, and `out` may be `x`: whatever a thread overwrites it has read.
// `index` names the row of a stream in them (null: its own number); -1 is neither read nor written.
// With `reverse` time runs backwards, which is the gradient.
template <typename Element, int LANES, typename Index>
__device__ inline void chunk(const Element* x, Element* out, const Element* before, Element* after,
                             const long long* index, Index streams, Index snippets, Index outer, Index inner,
                             Index first, int reverse, int whole, Index thread) {
  const Index units = inner / LANES;
  if (thread >= streams * outer * units) return;
  const Index start = thread % units * LANES;
  const Index run = thread / units % outer;
  const Index stream = thread / units / outer;
  const Index slot = index ? static_cast<Index>(index[stream]) : stream;
  const bool moves = start < first;
  if (!moves && out == x) return;
  Unit<Element, LANES> held{};
  if (moves && before && slot >= 0)
    held = read_leaf<Element, LANES, Index>(before + (slot * outer + run) * first, start, first, whole);
  for (Index step = 0; step < snippets; ++step) {
    const Index row = stream * snippets + (reverse ? snippets - 1 - step : step);
    const Index place = (row * outer + run) * inner + start;
    const Unit<Element, LANES> current = *reinterpret_cast<const Unit<Element, LANES>*>(x + place);
    Unit<Element, LANES> result;
#pragma unroll
    for (int lane = 0; lane < LANES; ++lane)
      result.lane[lane] = start + lane < first ? held.lane[lane] : current.lane[lane];
    *reinterpret_cast<Unit<Element, LANES>*>(out + place) = result;
    held = current;
  }
  if (moves && after && slot >= 0)
    write_leaf<Element, LANES, Index>(after + (slot * outer + run) * first, held, start, first, whole);
}

#define INSTANTIATE(BYTES, ELEMENT, LANES, BITS, INDEX)                                                                \
  extern "C" __global__ void clip_##BYTES##_##LANES##_##BITS(                                                          \
      const ELEMENT* x, ELEMENT* out, INDEX streams, INDEX snippets, INDEX outer, INDEX inner, INDEX first,            \
      INDEX second, int step, int circulant) {                                                                         \
    const INDEX thread = static_cast<INDEX>(blockIdx.x) * static_cast<INDEX>(blockDim.x) + threadIdx.x;                \
    clip<ELEMENT, LANES, INDEX>(x, out, streams, snippets, outer, inner, first, second, step, circulant, thread);      \
  }                                                                                                                    \
  extern "C" __global__ void chunk_##BYTES##_##LANES##_##BITS(                                                         \
      const ELEMENT* x, ELEMENT* out, const ELEMENT* before, ELEMENT* after, const long long* index, INDEX streams,    \
      INDEX snippets, INDEX outer, INDEX inner, INDEX first, int reverse, int whole) {                                 \
    const INDEX thread = static_cast<INDEX>(blockIdx.x) * static_cast<INDEX>(blockDim.x) + threadIdx.x;                \
    chunk<ELEMENT, LANES, INDEX>(x, out, before, after, index, streams, snippets, outer, inner, first, reverse, whole, \
                                 thread);                                                                              \
  }

#define INSTANTIATE_BITS(BYTES, ELEMENT, LANES)         \
  INSTANTIATE(BYTES, ELEMENT, LANES, 32, int)           \
  INSTANTIATE(BYTES, ELEMENT, LANES, 64, long long)

INSTANTIATE_BITS(2, unsigned short, 8)
INSTANTIATE_BITS(2, unsigned short, 1)
INSTANTIATE_BITS(4, unsigned int, 4)
INSTANTIATE_BITS(4, unsigned int, 1)
INSTANTIATE_BITS(8, unsigned long long, 2)
INSTANTIATE_BITS(8, unsigned long long, 1)
