// A PCI function seen from inside: what its BARs are made of, its interrupts, what it may reach by itself.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "access/status.h"
#include "backend/emulated/emulated.h"
#include "device/desk.h"
#include "device/dma.h"
#include "device/engine.h"
#include "device/interrupts.h"
#include "memory/memory.h"

namespace ismio::device {

// Bytes of a BAR that are memory.
struct Area {
  uint64_t offset = 0;
  uint64_t length = 0;
  std::shared_ptr<Memory> memory;
  uint64_t position = 0;  // in the memory
  uint8_t* base() const { return memory->base() + position; }
};

struct Bar {
  uint64_t size = 0;  // 0: there is none
  Rules rules;
  std::vector<Area> areas;         // ascending, never overlapping, in whole pages
  std::shared_ptr<Engine> engine;  // takes the stores to the rest; null: there is none
  bool answers = false;            // JavaScript has handlers for what is left
};

inline constexpr uint32_t kBars = 6;
// QEMU gives up a connection after 5 s (x-msg-timeout of hw/vfio-user): an answer comes before that, whatever happens.
inline constexpr std::chrono::milliseconds kAnswerWithin{4000};

class Function : public std::enable_shared_from_this<Function> {
 public:
  Function(uint64_t number, std::shared_ptr<Desk> answering, std::array<Bar, kBars> bars, uint32_t configSize,
           const std::array<uint32_t, kIrqs>& irqs, uint64_t mostMappings)
      : number(number),
        desk(std::move(answering)),
        bars(std::move(bars)),
        configSize(configSize),
        interrupts(irqs),
        dma(mostMappings) {}

  // By which JavaScript knows it.
  const uint64_t number;
  const std::shared_ptr<Desk> desk;
  const std::array<Bar, kBars> bars;
  const uint32_t configSize;
  Interrupts interrupts;
  DmaMap dma;
  // Bits of the command register, kept by whoever has configuration space.
  std::atomic<bool> decodes{false};
  std::atomic<bool> masters{false};
  // Taken away: nobody accesses it any more.
  std::atomic<bool> gone{false};
  // It refused an access that was its own to answer, since that was last asked: its status register is to say so.
  std::atomic<bool> refused{false};
  // Somebody has it open: one at a time.
  std::atomic<bool> taken{false};
  // That is a driver in this process.
  std::atomic<bool> near{false};

  // One access to a BAR that touches one area alone. Null: it is JavaScript's, or refused.
  uint8_t* memoryAt(uint32_t bar, uint64_t offset, uint64_t length) const;
  // Bytes of a BAR from one place on that are all memory, or all not: at most `length`. Of those that are not, `engine`
  // takes the stores.
  struct Stretch {
    uint8_t* memory = nullptr;
    uint64_t length = 0;
    Engine* engine = nullptr;
  };
  Stretch stretchAt(uint32_t bar, uint64_t offset, uint64_t length) const;
  // Whether any of these bytes is neither memory nor, of a store, an engine's.
  bool asksScript(uint32_t bar, bool stores, uint64_t offset, uint64_t length) const;
  // The engine that has lanes past it; null: there is none.
  Engine* lender() const;
  // DMA of the device, in the name of its command register: EPERM where it is no bus master.
  int32_t dmaRead(uint64_t iova, uint8_t* target, uint64_t length) const;
  int32_t dmaWrite(uint64_t iova, const uint8_t* source, uint64_t length) const;
  // MSI and MSI-X are memory writes of the function: pending until it is a bus master.
  void raise(Irq irq, uint32_t vector) {
    const bool message = irq == Irq::msi || irq == Irq::msix;
    interrupts.raise(irq, vector, !message || masters.load());
  }
};

}  // namespace ismio::device
