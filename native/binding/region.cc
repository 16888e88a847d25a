// Regions, as src/region sees them: opened, described, counted, closed. What is done with them is in access.cc.
#include <utility>

#include "backend/emulated/emulated.h"
#include "backend/mapped/mapped.h"
#include "backend/vfio/unmapped.h"
#include "binding/exports.h"
#include "binding/faults.h"
#include "binding/held_region.h"

namespace ismio::binding {
namespace {

// What is left of a region that was closed: what was asked of it. Accesses that were on their way then are counted here
// as well, when they have ended.
struct HeldCounts final : Held {
  static constexpr HandleKind kKind = HandleKind::counts;
  HeldCounts(std::shared_ptr<CounterSet> set, bool stagesTimed) : counters(std::move(set)), timed(stagesTimed) {}
  const std::shared_ptr<CounterSet> counters;
  const bool timed;
};

// emulate(size, ...rules, memory, name, cost: Float64Array(4), faults: Float64Array, seed) -> number | undefined
Napi::Value emulate(const Napi::CallbackInfo& info) {
  uint64_t size = 0;
  const Rules rules = rulesAt(info, 1);
  if (!offsetAt(info, 0, size) || !wellFormed(rules)) return info.Env().Undefined();
  Environment& environment = Environment::of(info.Env());
  const size_t rest = 1 + kRuleArguments;
  const auto cost = info[rest + 2].As<Napi::Float64Array>();
  const auto faults = info[rest + 3].As<Napi::Float64Array>();
  auto backend = std::make_unique<Emulated>(size, rules, Cost{cost[0], cost[1], cost[2], cost[3]},
                                            faultsIn(faults.Data(), faults.ElementLength()),
                                            static_cast<uint64_t>(numberAt(info, rest + 4)), environment.emulatedBytes);
  if (!backend->ready()) return info.Env().Undefined();
  environment.tellEmulatedBytes();
  const Kind kind = flagAt(info, rest) ? Kind::memory : Kind::device;
  return hold(info, Region::create({size, rules, kind, true, textAt(info, rest + 1), "emulated"}, std::move(backend)));
}

Napi::Object describe(Napi::Env env, const File::Problem& problem) {
  Napi::Object said = Napi::Object::New(env);
  said.Set("refusal", static_cast<uint32_t>(problem.refusal));
  said.Set("call", problem.call);
  said.Set("errno", problem.errorNumber);
  said.Set("fileSize", static_cast<double>(problem.fileSize));
  said.Set("pageSize", static_cast<double>(problem.pageSize));
  return said;
}

// Null, and why, when no region can be made of the file.
std::unique_ptr<Backend> mapped(File::Request& request, const Rules& rules, const Mmio* mmio, File::Problem& problem) {
  std::unique_ptr<Mapping> mapping = Mapping::open(request, problem);
  if (mapping == nullptr) return nullptr;
  request.length = mapping->length();
  return std::make_unique<Mapped>(std::move(mapping), rules, mmio);
}

std::unique_ptr<Backend> unmapped(File::Request& request, const Rules& rules, File::Problem& problem) {
  std::unique_ptr<File> file = File::open(request, problem);
  if (file == nullptr) return nullptr;
  if (file->huge() && request.writable) {
    problem.refusal = File::Refusal::noWriteCall;
    return nullptr;
  }
  auto descriptor = Descriptor::duplicate(file->descriptor(), problem.errorNumber);
  if (descriptor == nullptr) {
    problem.refusal = File::Refusal::systemError;
    problem.call = "dup";
    return nullptr;
  }
  auto calls = std::make_unique<Vfio>(std::move(descriptor), request.offset, rules);
  return std::make_unique<Unmapped>(std::move(file), std::move(calls), request.offset + request.length);
}

// map(path, offset, length, writable, access, ...rules, name) -> number | problem
// access: 0 memory, 1 device, 2 device with bursts, 3 PCI resource, 4 PCI resource with bursts, 5 pread and pwrite
Napi::Value map(const Napi::CallbackInfo& info) {
  File::Request request{textAt(info, 0), 0, 0, flagAt(info, 3)};
  const Rules rules = rulesAt(info, 5);
  File::Problem problem;
  if (!offsetAt(info, 1, request.offset) || !offsetAt(info, 2, request.length) || !wellFormed(rules)) {
    return describe(info.Env(), problem);
  }
  const uint32_t access = wordAt(info, 4);
  const Mmio* mmio = access == 0   ? kernels().memory
                     : access == 1 ? kernels().mapped
                     : access == 3 ? kernels().resource
                                   : kernels().burst;
  const bool calls = access == 5;
  if (mmio == nullptr && !calls) return describe(info.Env(), problem);
  std::unique_ptr<Backend> backend = calls ? unmapped(request, rules, problem) : mapped(request, rules, mmio, problem);
  if (backend == nullptr) return describe(info.Env(), problem);
  RegionTraits traits{request.length,
                      rules,
                      access == 0 ? Kind::memory : Kind::device,
                      request.writable,
                      textAt(info, 5 + kRuleArguments),
                      calls ? "pread and pwrite" : mmio->name};
  return hold(info, Region::create(std::move(traits), std::move(backend)));
}

// attach(id) -> number | undefined
Napi::Value attach(const Napi::CallbackInfo& info) {
  std::shared_ptr<Region> region = Region::find(static_cast<uint64_t>(numberAt(info, 0)));
  return region == nullptr || region->closed() ? info.Env().Undefined() : hold(info, std::move(region));
}

// close(region, everywhere): lets go of it; with `everywhere`, every other holder's accesses end too
Napi::Value close(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  auto held = environment.handles.take<HeldRegion>(handleAt(info, 0));
  if (held != nullptr && flagAt(info, 1)) held->attachment.region().close();
  environment.letGo(std::move(held));
  environment.tellEmulatedBytes();
  return info.Env().Undefined();
}

// traits(region) -> {id, size, ...} | undefined
Napi::Value traits(const Napi::CallbackInfo& info) {
  const HeldRegion* held = regionAt(info);
  if (held == nullptr) return info.Env().Undefined();
  const RegionTraits& traits = held->attachment.region().traits();
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("id", static_cast<double>(held->attachment.region().id()));
  told.Set("size", static_cast<double>(traits.size));
  told.Set("maxStoreBlock", traits.rules.maxStoreBlock);
  told.Set("boundary", traits.rules.boundary);
  told.Set("strict", traits.rules.alignment == Alignment::strict);
  told.Set("mergeable", traits.rules.mergeable);
  told.Set("singleStores", traits.rules.singleStores);
  told.Set("memory", traits.kind == Kind::memory);
  told.Set("writable", traits.writable);
  told.Set("name", traits.name);
  told.Set("access", traits.access);
  return told;
}

// counts(region) -> the number of what `stats` tells of it after it was closed | undefined
Napi::Value counts(const Napi::CallbackInfo& info) {
  const HeldRegion* held = regionAt(info);
  if (held == nullptr) return info.Env().Undefined();
  const Region& region = held->attachment.region();
  auto left = std::make_unique<HeldCounts>(region.sharedCounters(), region.timed());
  return Napi::Number::New(info.Env(), static_cast<double>(Environment::of(info.Env()).handles.add(std::move(left))));
}

// forget(counts)
Napi::Value forget(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).handles.take<HeldCounts>(handleAt(info, 0));
  return info.Env().Undefined();
}

bool tell(const CounterSet& counters, bool timed, double* words) {
  const Totals sum = counters.sum();
  const uint64_t values[] = {sum.loads,   sum.stores, sum.storeBlocks, sum.bytes, sum.merged,
                             sum.retries, sum.errors, sum.crossings,   sum.copies};
  for (const uint64_t value : values) *words++ = static_cast<double>(value);
  if (!timed) return false;
  const StageTotals stages = counters.stages();
  const double tick = nanosecondsPerTick();
  for (const uint64_t spent : stages.spent) *words++ = static_cast<double>(spent) * tick;
  *words = static_cast<double>(stages.stamps) * ticksPerStamp() * tick;
  return true;
}

// stats(region | counts, Float64Array(16)) -> undefined | whether stages are timed: then the last seven words have the
// time in each, and that of the stamps, in nanoseconds
Napi::Value stats(const Napi::CallbackInfo& info) {
  const Handles& handles = Environment::of(info.Env()).handles;
  const uint64_t number = handleAt(info, 0);
  double* words = info[1].As<Napi::Float64Array>().Data();
  if (const auto* held = handles.find<HeldRegion>(number)) {
    const Region& region = held->attachment.region();
    return Napi::Boolean::New(info.Env(), tell(region.counters(), region.timed(), words));
  }
  const auto* left = handles.find<HeldCounts>(number);
  if (left == nullptr) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), tell(*left->counters, left->timed, words));
}

// timeStages(region, on) -> boolean
Napi::Value timeStages(const Napi::CallbackInfo& info) {
  HeldRegion* held = regionAt(info);
  if (held != nullptr) held->attachment.region().timeStages(flagAt(info, 1));
  return Napi::Boolean::New(info.Env(), held != nullptr);
}

// stage(region, stage): enters it on this thread, where stages are timed
Napi::Value stage(const Napi::CallbackInfo& info) {
  HeldRegion* held = regionAt(info);
  StageClock* clock = held == nullptr ? nullptr : held->attachment.clock();
  if (clock != nullptr) clock->to(static_cast<Stage>(least(wordAt(info, 1), kStages)));
  return Napi::Value();
}

// possible(...rules, offset, length) -> whether legal stores can carry the range
Napi::Value possible(const Napi::CallbackInfo& info) {
  const Rules rules = rulesAt(info, 0);
  uint64_t offset = 0;
  uint64_t length = 0;
  const bool told =
      wellFormed(rules) && offsetAt(info, kRuleArguments, offset) && offsetAt(info, kRuleArguments + 1, length);
  return Napi::Boolean::New(info.Env(), told && ismio::possible(rules, offset, length));
}

// plan(...rules, offset, length, Float64Array) -> pieces written, three numbers each: offset, length, 1 for a block
Napi::Value plan(const Napi::CallbackInfo& info) {
  const Rules rules = rulesAt(info, 0);
  uint64_t offset = 0;
  uint64_t length = 0;
  if (!wellFormed(rules) || !offsetAt(info, kRuleArguments, offset) || !offsetAt(info, kRuleArguments + 1, length)) {
    return info.Env().Undefined();
  }
  auto out = info[kRuleArguments + 2].As<Napi::Float64Array>();
  double* words = out.Data();
  const size_t room = out.ElementLength() / 3;
  size_t pieces = 0;
  for (; length > 0 && pieces < room; pieces++) {
    const Piece piece = next(rules, offset, length);
    *words++ = static_cast<double>(piece.offset);
    *words++ = piece.length;
    *words++ = piece.block ? 1 : 0;
    offset += piece.length;
    length -= piece.length;
  }
  return Napi::Number::New(info.Env(), static_cast<double>(pieces));
}

}  // namespace

void exportRegions(Napi::Env env, Napi::Object exports) {
  exportFunction<emulate>(env, exports, "emulate");
  exportFunction<map>(env, exports, "map");
  exportFunction<attach>(env, exports, "attach");
  exportFunction<close>(env, exports, "close");
  exportFunction<traits>(env, exports, "traits");
  exportFunction<counts>(env, exports, "counts");
  exportFunction<forget>(env, exports, "forget");
  exportFunction<stats>(env, exports, "stats");
  exportFunction<timeStages>(env, exports, "timeStages");
  exportFunction<stage>(env, exports, "stage");
  exportFunction<possible>(env, exports, "possible");
  exportFunction<plan>(env, exports, "plan");
}

}  // namespace ismio::binding
