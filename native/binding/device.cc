// Devices, as src/device sees them. A negative answer is -errno.
#include <cerrno>
#include <unistd.h>
#include <utility>

#include "binding/answerer.h"
#include "binding/exports.h"
#include "binding/faults.h"
#include "binding/held_function.h"
#include "binding/held_region.h"
#include "device/answered.h"
#include "device/describe.h"
#include "vfio/kernel.h"

namespace ismio::binding {
namespace {

using device::Bar;
using device::Function;
using device::Irq;

Napi::Value tell(const Napi::CallbackInfo& info, int64_t answer) {
  return Napi::Number::New(info.Env(), static_cast<double>(answer));
}

// A BAR is eight numbers, an area five; src/device/native.ts writes them.
std::array<Bar, device::kBars> barsIn(const double* rows, size_t length) {
  constexpr size_t kColumns = 8;
  std::array<Bar, device::kBars> bars;
  for (const double* row = rows; row + kColumns <= rows + length; row += kColumns) {
    const auto index = static_cast<size_t>(row[0]);
    if (index >= bars.size()) continue;
    Bar& bar = bars[index];
    bar.size = static_cast<uint64_t>(row[1]);
    bar.answers = row[2] != 0;
    bar.rules = {static_cast<uint32_t>(row[3]), static_cast<uint32_t>(row[4]),
                 row[5] != 0 ? Alignment::strict : Alignment::relaxed, row[6] != 0, row[7] != 0};
  }
  return bars;
}

// False where the memory of one is none of ours.
bool addAreas(std::array<Bar, device::kBars>& bars, const double* rows, size_t length) {
  constexpr size_t kColumns = 5;
  for (const double* row = rows; row + kColumns <= rows + length; row += kColumns) {
    const auto index = static_cast<size_t>(row[0]);
    std::shared_ptr<Memory> memory = Memory::find(static_cast<uint64_t>(row[3]));
    if (index >= bars.size() || memory == nullptr) return false;
    bars[index].areas.push_back({static_cast<uint64_t>(row[1]), static_cast<uint64_t>(row[2]), std::move(memory),
                                 static_cast<uint64_t>(row[4])});
  }
  return true;
}

// make(number, bars: Float64Array, areas: Float64Array, configSize, irqs: Uint32Array(5), mostMappings,
//   engines: Float64Array of [BAR, handle]) -> handle | -1
Napi::Value make(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  const auto rows = info[1].As<Napi::Float64Array>();
  const auto areas = info[2].As<Napi::Float64Array>();
  const auto counts = info[4].As<Napi::Uint32Array>();
  std::array<Bar, device::kBars> bars = barsIn(rows.Data(), rows.ElementLength());
  if (!addAreas(bars, areas.Data(), areas.ElementLength())) return tell(info, -1);
  const auto engines = info[6].As<Napi::Float64Array>();
  for (size_t i = 0; i + 1 < engines.ElementLength(); i += 2) {
    const auto* held = environment.handles.find<HeldEngine>(static_cast<uint64_t>(engines[i + 1]));
    const auto index = static_cast<size_t>(engines[i]);
    if (held == nullptr || index >= bars.size()) return tell(info, -1);
    bars[index].engine = held->engine;
  }
  std::array<uint32_t, device::kIrqs> irqs{};
  for (size_t i = 0; i < irqs.size() && i < counts.ElementLength(); i++) irqs[i] = counts[i];
  auto function = std::make_shared<Function>(static_cast<uint64_t>(numberAt(info, 0)), environment.desk,
                                             std::move(bars), wordAt(info, 3), irqs, wordAt(info, 5));
  for (const Bar& bar : function->bars) {
    if (bar.engine != nullptr) bar.engine->attach(function);
  }
  environment.desk->expect();
  return tell(info, static_cast<int64_t>(environment.handles.add(std::make_unique<HeldFunction>(std::move(function)))));
}

// close(device)
Napi::Value close(const Napi::CallbackInfo& info) {
  const auto held = Environment::of(info.Env()).handles.take<HeldFunction>(handleAt(info, 0));
  if (held != nullptr) held->function->gone.store(true);
  return info.Env().Undefined();
}

// answerBy(function, word: Uint8Array(8), later: () => void)
Napi::Value answerBy(const Napi::CallbackInfo& info) {
  Environment::of(info.Env())
      .answerer->answerBy(info[0].As<Napi::Function>(), info[1].As<Napi::Uint8Array>(), info[2].As<Napi::Function>());
  return info.Env().Undefined();
}

// serve(): what other threads have asked by now is answered
Napi::Value serve(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).desk->serve();
  return info.Env().Undefined();
}

// settle(ticket, errno, bytes | undefined)
Napi::Value settle(const Napi::CallbackInfo& info) {
  const Bytes bytes = bytesAt(info, 2);
  Environment::of(info.Env())
      .answerer->settle(handleAt(info, 0), static_cast<int32_t>(wordAt(info, 1)), bytes.data, bytes.length);
  return info.Env().Undefined();
}

// deviceInfo(device, into)
Napi::Value deviceInfo(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  const Bytes into = bytesAt(info, 1);
  return tell(info, function == nullptr ? -ENODEV : device::deviceInfo(*function, into.data, into.length));
}

// regionInfo(device, index, into)
Napi::Value regionInfo(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  const Bytes into = bytesAt(info, 2);
  if (function == nullptr) return tell(info, -ENODEV);
  return tell(info, device::regionInfo(*function, wordAt(info, 1), false, into.data, into.length));
}

// irqInfo(device, index, into)
Napi::Value irqInfo(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  const Bytes into = bytesAt(info, 2);
  return tell(info,
              function == nullptr ? -ENODEV : device::irqInfo(*function, wordAt(info, 1), into.data, into.length));
}

// setIrqs(device, flags, index, start, count, eventfds: Int32Array | null): of each eventfd a duplicate is kept
Napi::Value setIrqs(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  if (function == nullptr) return tell(info, -ENODEV);
  const uint32_t count = wordAt(info, 4);
  std::vector<int> own;
  int32_t refused = 0;
  if (info[5].IsTypedArray()) {
    const auto given = info[5].As<Napi::Int32Array>();
    if (given.ElementLength() < count) return tell(info, -EINVAL);
    for (uint32_t i = 0; i < count && refused == 0; i++) {
      const int64_t kept = given[i] < 0 ? -1 : vfio::duplicate(given[i]);
      if (given[i] >= 0 && kept < 0) refused = static_cast<int32_t>(kept);
      own.push_back(static_cast<int>(kept));
    }
  }
  if (refused != 0) {
    for (const int kept : own) {
      if (kept >= 0) ::close(kept);
    }
    return tell(info, refused);
  }
  const int32_t error = function->interrupts.set(wordAt(info, 2), wordAt(info, 1), wordAt(info, 3), count,
                                                 own.empty() ? nullptr : own.data(), nullptr);
  return tell(info, -error);
}

// raise(device, irq, vector)
Napi::Value raise(const Napi::CallbackInfo& info) {
  if (const auto function = functionAt(info, 0)) function->raise(static_cast<Irq>(wordAt(info, 1)), wordAt(info, 2));
  return info.Env().Undefined();
}

// level(device, up)
Napi::Value level(const Napi::CallbackInfo& info) {
  if (const auto function = functionAt(info, 0)) function->interrupts.level(flagAt(info, 1));
  return info.Env().Undefined();
}

// pending(device, irq, vector) -> whether it is held back
Napi::Value pending(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  const bool held =
      function != nullptr && function->interrupts.pending(static_cast<Irq>(wordAt(info, 1)), wordAt(info, 2));
  return Napi::Boolean::New(info.Env(), held);
}

// enabled(device, irq, vector) -> whether its driver has set it up
Napi::Value enabled(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  const bool set =
      function != nullptr && function->interrupts.enabled(static_cast<Irq>(wordAt(info, 1)), wordAt(info, 2));
  return Napi::Boolean::New(info.Env(), set);
}

// refused(device) -> whether it has refused an access since it was last asked
Napi::Value refused(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  return Napi::Boolean::New(info.Env(), function != nullptr && function->refused.exchange(false));
}

// command(device, decodes, masters): what its command register says
Napi::Value command(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  if (function == nullptr) return info.Env().Undefined();
  function->decodes.store(flagAt(info, 1));
  const bool masters = flagAt(info, 2);
  if (function->masters.exchange(masters) || !masters) return info.Env().Undefined();
  function->interrupts.flush(Irq::msi);
  function->interrupts.flush(Irq::msix);
  return info.Env().Undefined();
}

// take(device) -> whether nobody had it; letGo(device): the driver has gone
Napi::Value take(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  const bool taken = function != nullptr && !function->taken.exchange(true);
  if (taken) function->near.store(true);
  return Napi::Boolean::New(info.Env(), taken);
}
Napi::Value letGo(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  if (function == nullptr) return info.Env().Undefined();
  function->interrupts.clear();
  function->dma.clear();
  function->near.store(false);
  function->taken.store(false);
  return info.Env().Undefined();
}

// giveBack(device): it was taken for a moment, by no driver
Napi::Value giveBack(const Napi::CallbackInfo& info) {
  if (const auto function = functionAt(info, 0)) function->taken.store(false);
  return info.Env().Undefined();
}

// mapDma(device, iova: bigint, memory, position, length, readable, writable)
Napi::Value mapDma(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  uint64_t position = 0;
  device::DmaMap::Mapping mapping;
  auto memory = Memory::find(static_cast<uint64_t>(numberAt(info, 2)));
  if (function == nullptr) return tell(info, -ENODEV);
  if (memory == nullptr || !offsetAt(info, 3, position) || !offsetAt(info, 4, mapping.length)) {
    return tell(info, -EFAULT);
  }
  if (position > memory->mapped() || mapping.length > memory->mapped() - position) return tell(info, -EFAULT);
  mapping.readable = flagAt(info, 5);
  mapping.writable = flagAt(info, 6);
  mapping.base = memory->base() + position;
  if (position == 0) mapping.descriptor = memory->descriptor();
  mapping.held = std::move(memory);
  return tell(info, -function->dma.map(wideAt(info, 1), std::move(mapping)));
}

// unmapDma(device, iova: bigint, length) -> bytes that were unmapped
Napi::Value unmapDma(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  uint64_t length = 0;
  uint64_t unmapped = 0;
  if (function == nullptr || !offsetAt(info, 2, length)) return tell(info, -ENODEV);
  const int32_t error = function->dma.unmap(wideAt(info, 1), length, unmapped);
  return tell(info, error != 0 ? -error : static_cast<int64_t>(unmapped));
}

// read(device, iova: bigint, target), write(device, iova: bigint, source): DMA of the device -> 0 or errno
Napi::Value read(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  const Bytes target = bytesAt(info, 2);
  return tell(info, function == nullptr ? ENODEV : function->dmaRead(wideAt(info, 1), target.data, target.length));
}
Napi::Value write(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  const Bytes source = bytesAt(info, 2);
  return tell(info, function == nullptr ? ENODEV : function->dmaWrite(wideAt(info, 1), source.data, source.length));
}

// view(device, iova: bigint, length) -> ArrayBuffer over the driver's memory | undefined
Napi::Value view(const Napi::CallbackInfo& info) {
  const auto function = functionAt(info, 0);
  uint64_t length = 0;
  if (function == nullptr || !offsetAt(info, 2, length) || !function->masters.load()) return info.Env().Undefined();
  device::DmaMap::View seen = function->dma.view(wideAt(info, 1), length);
  if (seen.base == nullptr) return info.Env().Undefined();
  auto* held = new std::shared_ptr<void>(std::move(seen.held));
  const auto letGo = [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<void>*>(hint); };
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(info.Env(), seen.base, length, letGo, held, &buffer) == napi_ok) {
    return Napi::Value(info.Env(), buffer);
  }
  info.Env().GetAndClearPendingException();
  return info.Env().Undefined();
}

// region(device, bar, writable, ...rules, name, cost: Float64Array(4), faults: Float64Array, seed) -> handle
Napi::Value region(const Napi::CallbackInfo& info) {
  auto function = functionAt(info, 0);
  const uint32_t bar = wordAt(info, 1);
  const Rules rules = rulesAt(info, 3);
  if (function == nullptr || bar >= device::kBars || !wellFormed(rules)) return info.Env().Undefined();
  const size_t rest = 3 + kRuleArguments;
  const auto cost = info[rest + 1].As<Napi::Float64Array>();
  const auto faults = info[rest + 2].As<Napi::Float64Array>();
  const uint64_t size = function->bars[bar].size;
  auto backend = std::make_unique<device::Answered>(
      std::move(function), bar, rules, Cost{cost[0], cost[1], cost[2], cost[3]},
      faultsIn(faults.Data(), faults.ElementLength()), static_cast<uint64_t>(numberAt(info, rest + 3)));
  return hold(info, Region::create({size, rules, Kind::device, flagAt(info, 2), textAt(info, rest), "device"},
                                   std::move(backend)));
}

}  // namespace

void exportDevices(Napi::Env env, Napi::Object exports) {
  Napi::Object devices = Napi::Object::New(env);
  exportFunction<make>(env, devices, "make");
  exportFunction<close>(env, devices, "close");
  exportFunction<answerBy>(env, devices, "answerBy");
  exportFunction<serve>(env, devices, "serve");
  exportFunction<settle>(env, devices, "settle");
  exportFunction<deviceInfo>(env, devices, "deviceInfo");
  exportFunction<regionInfo>(env, devices, "regionInfo");
  exportFunction<irqInfo>(env, devices, "irqInfo");
  exportFunction<setIrqs>(env, devices, "setIrqs");
  exportFunction<raise>(env, devices, "raise");
  exportFunction<level>(env, devices, "level");
  exportFunction<pending>(env, devices, "pending");
  exportFunction<enabled>(env, devices, "enabled");
  exportFunction<refused>(env, devices, "refused");
  exportFunction<command>(env, devices, "command");
  exportFunction<take>(env, devices, "take");
  exportFunction<letGo>(env, devices, "letGo");
  exportFunction<giveBack>(env, devices, "giveBack");
  exportFunction<mapDma>(env, devices, "mapDma");
  exportFunction<unmapDma>(env, devices, "unmapDma");
  exportFunction<read>(env, devices, "read");
  exportFunction<write>(env, devices, "write");
  exportFunction<view>(env, devices, "view");
  exportFunction<region>(env, devices, "region");
  exports.Set("devices", devices);
}

}  // namespace ismio::binding
