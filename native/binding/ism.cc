// Fabrics of ISM functions, as src/ism sees them. A negative answer is -errno.
#include <cerrno>
#include <utility>

#include "binding/exports.h"
#include "binding/held_function.h"
#include "ism/fabric.h"
#include "ism/port.h"

namespace ismio::binding {
namespace {

using ism::Fabric;
using ism::Port;

struct HeldFabric final : Held {
  static constexpr HandleKind kKind = HandleKind::fabric;
  explicit HeldFabric(std::shared_ptr<Fabric> made) : fabric(std::move(made)) {}
  // Ports keep the fabric, but its thread ends here: whoever lets go of the last port does not wait for it.
  ~HeldFabric() override { fabric->end(); }
  const std::shared_ptr<Fabric> fabric;
};

// The port that is argument 0. (What `port` adds to the table are the only engines there are.)
Port* portAt(const Napi::CallbackInfo& info) {
  const auto* held = Environment::of(info.Env()).handles.find<HeldEngine>(handleAt(info, 0));
  return held == nullptr ? nullptr : static_cast<Port*>(held->engine.get());
}

Napi::Value tell(const Napi::CallbackInfo& info, int64_t answer) {
  return Napi::Number::New(info.Env(), static_cast<double>(answer));
}

// fabric(direct) | fabric(direct, seed: bigint, latest: ms, rate of each mischief) -> handle
Napi::Value fabric(const Napi::CallbackInfo& info) {
  std::shared_ptr<Fabric> made;
  if (info.Length() > 1) {
    ism::Adversary::Plan plan;
    plan.seed = wideAt(info, 1);
    plan.latest = std::chrono::milliseconds(wordAt(info, 2));
    for (size_t i = 0; i < ism::kMischiefs; i++) plan.rates[i] = wordAt(info, 3 + i);
    made = std::make_shared<Fabric>(plan);
  } else {
    made = std::make_shared<Fabric>(flagAt(info, 0));
  }
  Handles& handles = Environment::of(info.Env()).handles;
  return tell(info, static_cast<int64_t>(handles.add(std::make_unique<HeldFabric>(std::move(made)))));
}

// mischief(fabric) -> how often each was done | undefined
Napi::Value mischief(const Napi::CallbackInfo& info) {
  const auto* held = Environment::of(info.Env()).handles.find<HeldFabric>(handleAt(info, 0));
  const ism::Adversary* adversary = held == nullptr ? nullptr : held->fabric->adversary();
  if (adversary == nullptr) return info.Env().Undefined();
  Napi::Array counts = Napi::Array::New(info.Env(), ism::kMischiefs);
  for (uint32_t i = 0; i < ism::kMischiefs; i++)
    counts[i] = static_cast<double>(adversary->count(static_cast<ism::Mischief>(i)));
  return counts;
}

// port(fabric, gid: bigint, reversed) -> handle | -EEXIST
Napi::Value port(const Napi::CallbackInfo& info) {
  Handles& handles = Environment::of(info.Env()).handles;
  const auto* held = handles.find<HeldFabric>(handleAt(info, 0));
  if (held == nullptr) return tell(info, -ENODEV);
  auto made = std::make_shared<Port>(held->fabric, wideAt(info, 1), flagAt(info, 2));
  if (!made->join()) return tell(info, -EEXIST);
  return tell(info, static_cast<int64_t>(handles.add(std::make_unique<HeldEngine>(std::move(made)))));
}

// closeFabric(fabric), closePort(port)
Napi::Value closeFabric(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).handles.take<HeldFabric>(handleAt(info, 0));
  return info.Env().Undefined();
}
Napi::Value closePort(const Napi::CallbackInfo& info) {
  // What a driver has open keeps the port, but the fabric is to know it no more.
  if (Port* port = portAt(info)) port->leave();
  Environment::of(info.Env()).handles.take<HeldEngine>(handleAt(info, 0));
  return info.Env().Undefined();
}

// registerSba(port, iova: bigint)
Napi::Value registerSba(const Napi::CallbackInfo& info) {
  Port* port = portAt(info);
  return tell(info, port == nullptr ? -ENODEV : -port->registerSba(wideAt(info, 1)));
}

// registerQueue(port, iova: bigint, length: bigint)
Napi::Value registerQueue(const Napi::CallbackInfo& info) {
  Port* port = portAt(info);
  return tell(info, port == nullptr ? -ENODEV : -port->registerQueue(wideAt(info, 1), wideAt(info, 2)));
}

// unregisterSba(port), unregisterQueue(port) -> whether there was one
Napi::Value unregisterSba(const Napi::CallbackInfo& info) {
  Port* port = portAt(info);
  return Napi::Boolean::New(info.Env(), port != nullptr && port->unregisterSba());
}
Napi::Value unregisterQueue(const Napi::CallbackInfo& info) {
  Port* port = portAt(info);
  return Napi::Boolean::New(info.Env(), port != nullptr && port->unregisterQueue());
}

// registerDmb(port, iova: bigint, length, index, sender: bigint) -> token: bigint | -errno
Napi::Value registerDmb(const Napi::CallbackInfo& info) {
  Port* port = portAt(info);
  if (port == nullptr) return tell(info, -ENODEV);
  uint64_t token = 0;
  const int32_t refused =
      port->registerDmb({wideAt(info, 1), wordAt(info, 2), wordAt(info, 3), wideAt(info, 4)}, token);
  if (refused != 0) return tell(info, -refused);
  return Napi::BigInt::New(info.Env(), token);
}

// unregisterDmb(port, token: bigint) -> whether it was the port's
Napi::Value unregisterDmb(const Napi::CallbackInfo& info) {
  Port* port = portAt(info);
  return Napi::Boolean::New(info.Env(), port != nullptr && port->unregisterDmb(wideAt(info, 1)));
}

// tell(port, type, code, token: bigint, info: bigint, interrupt) -> whether it has an event queue
Napi::Value tellEvent(const Napi::CallbackInfo& info) {
  Port* port = portAt(info);
  std::shared_ptr<device::Function> function;
  const ism::Event event{wordAt(info, 1), wordAt(info, 2), wideAt(info, 3), wideAt(info, 4)};
  const bool told = port != nullptr && port->tell(event, flagAt(info, 5), function);
  return Napi::Boolean::New(info.Env(), told);
}

// clear(port): its driver has gone
Napi::Value clear(const Napi::CallbackInfo& info) {
  if (Port* port = portAt(info)) port->clear();
  return info.Env().Undefined();
}

// dead(port) -> whether the adversary has killed it
Napi::Value dead(const Napi::CallbackInfo& info) {
  const Port* port = portAt(info);
  return Napi::Boolean::New(info.Env(), port != nullptr && port->dead());
}

// counts(port) -> each by its name, and of the moves that were refused how many for each reason
Napi::Value counts(const Napi::CallbackInfo& info) {
  Port* port = portAt(info);
  if (port == nullptr) return info.Env().Undefined();
  const Port::Counts& seen = port->counts;
  Napi::Object told = Napi::Object::New(info.Env());
  const auto tellOne = [&](const char* name, uint64_t count) { told.Set(name, static_cast<double>(count)); };
  tellOne("moves", seen.moves);
  tellOne("movedBytes", seen.movedBytes);
  tellOne("received", seen.received);
  tellOne("signals", seen.signals);
  tellOne("interrupts", seen.interrupts);
  tellOne("events", seen.events);
  tellOne("lanes", seen.lanes);
  tellOne("dmbs", port->dmbs());
  Napi::Array refused = Napi::Array::New(info.Env(), seen.refused.size());
  for (uint32_t i = 0; i < seen.refused.size(); i++) refused[i] = static_cast<double>(seen.refused[i]);
  told.Set("refused", refused);
  return told;
}

}  // namespace

void exportIsm(Napi::Env env, Napi::Object exports) {
  Napi::Object ism = Napi::Object::New(env);
  exportFunction<fabric>(env, ism, "fabric");
  exportFunction<mischief>(env, ism, "mischief");
  exportFunction<port>(env, ism, "port");
  exportFunction<closeFabric>(env, ism, "closeFabric");
  exportFunction<closePort>(env, ism, "closePort");
  exportFunction<registerSba>(env, ism, "registerSba");
  exportFunction<registerQueue>(env, ism, "registerQueue");
  exportFunction<unregisterSba>(env, ism, "unregisterSba");
  exportFunction<unregisterQueue>(env, ism, "unregisterQueue");
  exportFunction<registerDmb>(env, ism, "registerDmb");
  exportFunction<unregisterDmb>(env, ism, "unregisterDmb");
  exportFunction<tellEvent>(env, ism, "tell");
  exportFunction<clear>(env, ism, "clear");
  exportFunction<dead>(env, ism, "dead");
  exportFunction<counts>(env, ism, "counts");
  exports.Set("ism", ism);
}

}  // namespace ismio::binding
