// Queues, as src/queue sees them.
#include <bit>
#include <cstring>

#include "binding/exports.h"
#include "binding/held_queue.h"
#include "binding/held_region.h"
#include "binding/views.h"
#include "binding/worker_lookout.h"
#include "device/function.h"

namespace ismio::binding {

class HeldQueue::Settlement final : public Message {
 public:
  Settlement(uint64_t queue, uint32_t ticket, const Report& report) : queue_(queue), ticket_(ticket), report_(report) {}
  void arrive(Environment& environment) override {
    if (auto* held = environment.handles.find<HeldQueue>(queue_)) held->settle(ticket_, report_);
  }

 private:
  const uint64_t queue_;
  const uint32_t ticket_;
  const Report report_;
};

HeldQueue::~HeldQueue() {
  // What it waits for may be an answer of this thread's.
  queue_->stopAll();
  environment_.desk->serveUntil([this] { return queue_->idle(); },
                                std::chrono::steady_clock::now() + device::kAnswerWithin);
  queue_.reset();  // joins its thread, which still uses the way back until then
  if (inFlight_ > 0) environment_.back.awaited();
}

Report HeldQueue::submit(uint32_t from, uint32_t to) {
  std::optional<WorkerLookout> lookout;
  if (environment_.ofWorker) lookout.emplace(environment_.env);
  Report report = queue_->submit(from, to, lookout.has_value() ? &*lookout : nullptr);
  reported(report);
  return report;
}

void HeldQueue::drain(uint64_t number, uint32_t from, uint32_t to, uint32_t ticket, bool stopped) {
  if (inFlight_++ == 0) environment_.back.await();
  queue_->drain(from, to, ticket, stopped, [&environment = environment_, number](uint32_t ended, const Report& report) {
    environment.back.send(std::make_unique<Settlement>(number, ended, report));
    environment.desk->poke();
  });
}

void HeldQueue::settle(uint32_t ticket, const Report& report) {
  if (--inFlight_ == 0) environment_.back.awaited();
  reported(report);
  environment_.answers.put(report);
  environment_.tellEmulatedBytes();
  callFromMessage(environment_.env, settled_.Value(), {Napi::Number::New(environment_.env, ticket)});
}

namespace {

HeldQueue* queueAt(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).handles.find<HeldQueue>(handleAt(info, 0));
}

// createQueue(region, depth, stagingBytes, merge, relaxed, settled) -> {queue, ring, staging} | why there is none
Napi::Value createQueue(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  const HeldRegion* held = environment.handles.find<HeldRegion>(handleAt(info, 0));
  const uint32_t depth = wordAt(info, 1);
  uint64_t stagingBytes = 0;
  const uint32_t merge = wordAt(info, 3);
  if (held == nullptr || !std::has_single_bit(depth) || depth > wire::kLargestDepth ||
      !offsetAt(info, 2, stagingBytes) || stagingBytes == 0 || merge > static_cast<uint32_t>(Merge::any)) {
    return refused(info.Env(), NoView::none);
  }
  const QueueTraits traits{depth, stagingBytes, static_cast<Merge>(merge), flagAt(info, 4)};
  environment.tellEmulatedBytes();
  std::unique_ptr<Queue> queue = Queue::create(held->attachment.shared(), traits);
  NoView why = NoView::noMemory;
  if (queue == nullptr) return refused(info.Env(), why);
  const Napi::Value ring = viewOf(info.Env(), queue->ringMemory(), why);
  if (ring.IsEmpty()) return refused(info.Env(), why);
  const Napi::Value staging = viewOf(info.Env(), queue->staging(), why);
  if (staging.IsEmpty()) return refused(info.Env(), why);
  Napi::Object made = Napi::Object::New(info.Env());
  made.Set("ring", ring);
  made.Set("staging", staging);
  auto heldQueue = std::make_unique<HeldQueue>(environment, std::move(queue), info[5].As<Napi::Function>());
  made.Set("queue", static_cast<double>(environment.handles.add(std::move(heldQueue))));
  return made;
}

// holdSource(queue, memory id) -> slot; 0 when there is none free, or no such memory
Napi::Value holdSource(const Napi::CallbackInfo& info) {
  HeldQueue* held = queueAt(info);
  const std::shared_ptr<Memory> memory = Memory::find(static_cast<uint64_t>(numberAt(info, 1)));
  const bool none = held == nullptr || memory == nullptr;
  return Napi::Number::New(info.Env(), none ? 0 : held->queue().sources().hold(memory));
}

// releaseSource(queue, slot)
Napi::Value releaseSource(const Napi::CallbackInfo& info) {
  if (HeldQueue* held = queueAt(info)) held->queue().sources().release(wordAt(info, 1));
  return Napi::Value();
}

// readSource(queue, slot, position, target): the bytes of what the slot holds -> whether all of them are there
Napi::Value readSource(const Napi::CallbackInfo& info) {
  HeldQueue* held = queueAt(info);
  const Memory* memory = held == nullptr ? nullptr : held->queue().sources().at(wordAt(info, 1));
  const Bytes target = bytesAt(info, 3);
  uint64_t position = 0;
  const bool there = memory != nullptr && offsetAt(info, 2, position) && position <= memory->size() &&
                     target.length <= memory->size() - position;
  if (there && target.length > 0) {
    std::memcpy(target.data, memory->base() + position, target.length);  // a recording's
  }
  return Napi::Boolean::New(info.Env(), there);
}

// submit(queue, from, to) -> status
Napi::Value submit(const Napi::CallbackInfo& info) {
  HeldQueue* held = queueAt(info);
  if (held == nullptr) return status(info, Status::closed);
  return status(info, Environment::of(info.Env()).answers.put(held->submit(wordAt(info, 1), wordAt(info, 2))));
}

// drain(queue, from, to, ticket, stopped)
Napi::Value drain(const Napi::CallbackInfo& info) {
  if (HeldQueue* held = queueAt(info)) {
    held->drain(handleAt(info, 0), wordAt(info, 1), wordAt(info, 2), wordAt(info, 3), flagAt(info, 4));
  }
  return info.Env().Undefined();
}

// takeOutcomes(queue) -> outcomes of the batch whose report is in the answers, once | undefined
Napi::Value takeOutcomes(const Napi::CallbackInfo& info) {
  HeldQueue* held = queueAt(info);
  const std::shared_ptr<Memory> outcomes = held == nullptr ? nullptr : held->takeOutcomes();
  NoView why = NoView::none;
  return outcomes == nullptr ? info.Env().Undefined() : viewOf(info.Env(), outcomes, why);
}

// enqueueBegins(queue), completed(queue): only where stages are timed
Napi::Value enqueueBegins(const Napi::CallbackInfo& info) {
  if (HeldQueue* held = queueAt(info)) held->queue().enqueueBegins();
  return Napi::Value();
}
Napi::Value completed(const Napi::CallbackInfo& info) {
  if (HeldQueue* held = queueAt(info)) held->completed();
  return Napi::Value();
}

// unfold(queue, from, to): before they are handed over
Napi::Value unfoldEntries(const Napi::CallbackInfo& info) {
  if (const HeldQueue* held = queueAt(info)) held->queue().unfold(wordAt(info, 1), wordAt(info, 2));
  return Napi::Value();
}

// stop(queue, ticket)
Napi::Value stop(const Napi::CallbackInfo& info) {
  if (HeldQueue* held = queueAt(info)) held->queue().stop(wordAt(info, 1));
  return info.Env().Undefined();
}

// closeQueue(queue): nothing may be in flight
Napi::Value closeQueue(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  environment.letGo(environment.handles.take<HeldQueue>(handleAt(info, 0)));
  environment.tellEmulatedBytes();
  return info.Env().Undefined();
}

}  // namespace

void exportQueues(Napi::Env env, Napi::Object exports) {
  exportFunction<createQueue>(env, exports, "createQueue");
  exportFunction<holdSource>(env, exports, "holdSource");
  exportFunction<releaseSource>(env, exports, "releaseSource");
  exportFunction<readSource>(env, exports, "readSource");
  exportFunction<submit>(env, exports, "submit");
  exportFunction<drain>(env, exports, "drain");
  exportFunction<takeOutcomes>(env, exports, "takeOutcomes");
  exportFunction<enqueueBegins>(env, exports, "enqueueBegins");
  exportFunction<completed>(env, exports, "completed");
  exportFunction<unfoldEntries>(env, exports, "unfold");
  exportFunction<stop>(env, exports, "stop");
  exportFunction<closeQueue>(env, exports, "closeQueue");
}

}  // namespace ismio::binding
