// Order between memory that a device reads and writes by itself (DMA) and the device's registers.
//
//     descriptor in memory  ->  beforeDoorbell  ->  store to the doorbell     the device fetches what was written
//     load of a status word  ->  afterStatus  ->  loads of the data           what is read is as new as the status
//
//   x86-64    sfence, lfence. Ordinary stores and loads keep their order without; these are for what was written
//             combined, or loaded ahead from such memory (Intel SDM vol. 3A, 9.2 and 12.3)
//   aarch64   dmb oshst, dmb oshld: stores, or loads and what follows them, in the outer shareable domain, to which
//             devices belong (Linux arch/arm64/include/asm/barrier.h, __dma_wmb and __dma_rmb)
//   s390x     nothing but for the compiler: the CPU keeps both orders (Linux arch/s390/include/asm/barrier.h)
//   others    the compiler's strongest
// rdma-core has the same pairs as udma_to_device_barrier and udma_from_device_barrier (util/udma_barrier.h), but for
// x86-64's sfence, which it leaves to whoever combines writes.
#pragma once

#include <atomic>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ismio::order {

inline void beforeDoorbell() {
#if defined(__x86_64__)
  _mm_sfence();
#elif defined(__aarch64__)
  asm volatile("dmb oshst" ::: "memory");
#elif defined(__s390x__)
  asm volatile("" ::: "memory");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

inline void afterStatus() {
#if defined(__x86_64__)
  _mm_lfence();
#elif defined(__aarch64__)
  asm volatile("dmb oshld" ::: "memory");
#elif defined(__s390x__)
  asm volatile("" ::: "memory");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// What plain accesses to a device do by themselves, as Linux's writel and readl do: a store comes after everything that
// this thread stored before, a load before everything that it loads later. x86-64 and s390x keep these orders for
// ordinary accesses, and the compiler keeps those of volatile ones; on aarch64 it is the one instruction.
#if defined(__x86_64__) || defined(__s390x__)
inline constexpr bool kOfAccesses = false;
#else
inline constexpr bool kOfAccesses = true;
#endif

inline void beforeDeviceStore() { beforeDoorbell(); }
inline void afterDeviceLoad() { afterStatus(); }

}  // namespace ismio::order
