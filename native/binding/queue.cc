// Queues, as src/queue sees them.
#include <bit>

#include "binding/environment.h"
#include "binding/held_queue.h"

namespace ismio::binding {

struct HeldQueue::Settlement {
  uint32_t ticket;
  Report report;
};

HeldQueue::HeldQueue(Napi::Env env, std::unique_ptr<Queue> queue, Napi::Function settled)
    : env_(env), queue_(std::move(queue)) {
  const Napi::String name = Napi::String::New(env, "ismio drain");
  napi_create_threadsafe_function(env, settled, nullptr, name, 0, 1, nullptr, nullptr, this, onSettled, &back_);
  napi_unref_threadsafe_function(env, back_);  // an idle queue keeps no process alive
  napi_add_env_cleanup_hook(env, onTeardown, this);
}

HeldQueue::~HeldQueue() {
  napi_remove_env_cleanup_hook(env_, onTeardown, this);
  queue_.reset();
  if (back_ != nullptr) napi_release_threadsafe_function(back_, napi_tsfn_release);
}

void HeldQueue::onTeardown(void* held) {
  auto* self = static_cast<HeldQueue*>(held);
  self->queue_.reset();
  self->back_ = nullptr;  // Node.js takes it down itself
}

Report HeldQueue::submit(uint32_t from, uint32_t to) {
  Report report = queue_->submit(from, to);
  reported(report);
  return report;
}

void HeldQueue::drain(uint32_t from, uint32_t to, uint32_t ticket, bool stopped) {
  if (inFlight_++ == 0) napi_ref_threadsafe_function(env_, back_);
  queue_->drain(from, to, ticket, stopped, [back = back_](uint32_t ended, const Report& report) {
    auto* settlement = new Settlement{ended, report};
    if (napi_call_threadsafe_function(back, settlement, napi_tsfn_blocking) != napi_ok) delete settlement;
  });
}

void HeldQueue::onSettled(napi_env env, napi_value callback, void* context, void* data) {
  const std::unique_ptr<Settlement> settlement(static_cast<Settlement*>(data));
  if (env == nullptr) return;  // the environment is going: nobody is left to tell
  auto* self = static_cast<HeldQueue*>(context);
  if (--self->inFlight_ == 0) napi_unref_threadsafe_function(env, self->back_);
  self->reported(settlement->report);
  Environment::of(env).answer(settlement->report);
  Napi::Function(env, callback).Call({Napi::Number::New(env, settlement->ticket)});
  tellUncaught(env);
}

namespace {

HeldQueue* queueAt(const Napi::CallbackInfo& info) { return Environment::of(info.Env()).queues.find(wordAt(info, 0)); }

// createQueue(region, depth, stagingBytes, merge, relaxed, settled) -> {queue, ring, staging} | undefined
Napi::Value createQueue(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  const HeldRegion* held = environment.regions.find(wordAt(info, 0));
  const uint32_t depth = wordAt(info, 1);
  uint64_t stagingBytes = 0;
  const uint32_t merge = wordAt(info, 3);
  if (held == nullptr || !std::has_single_bit(depth) || depth > wire::kLargestDepth ||
      !offsetAt(info, 2, stagingBytes) || stagingBytes == 0 || merge > static_cast<uint32_t>(Merge::any)) {
    return info.Env().Undefined();
  }
  const QueueTraits traits{depth, stagingBytes, static_cast<Merge>(merge), flagAt(info, 4)};
  std::unique_ptr<Queue> queue = Queue::create(held->attachment.shared(), traits);
  if (queue == nullptr) return info.Env().Undefined();
  const Napi::Value ring = viewOf(info.Env(), queue->ringMemory());
  const Napi::Value staging = viewOf(info.Env(), queue->staging());
  if (ring.IsEmpty() || staging.IsEmpty()) return info.Env().Undefined();
  Napi::Object made = Napi::Object::New(info.Env());
  made.Set("ring", ring);
  made.Set("staging", staging);
  auto heldQueue = std::make_unique<HeldQueue>(info.Env(), std::move(queue), info[5].As<Napi::Function>());
  made.Set("queue", environment.queues.add(std::move(heldQueue)));
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

// submit(queue, from, to) -> status
Napi::Value submit(const Napi::CallbackInfo& info) {
  HeldQueue* held = queueAt(info);
  if (held == nullptr) return status(info, Status::closed);
  return status(info, Environment::of(info.Env()).answer(held->submit(wordAt(info, 1), wordAt(info, 2))));
}

// drain(queue, from, to, ticket, stopped)
Napi::Value drain(const Napi::CallbackInfo& info) {
  if (HeldQueue* held = queueAt(info)) held->drain(wordAt(info, 1), wordAt(info, 2), wordAt(info, 3), flagAt(info, 4));
  return info.Env().Undefined();
}

// takeOutcomes(queue) -> outcomes of the batch whose report is in the answers, once | undefined
Napi::Value takeOutcomes(const Napi::CallbackInfo& info) {
  HeldQueue* held = queueAt(info);
  const std::shared_ptr<Memory> outcomes = held == nullptr ? nullptr : held->takeOutcomes();
  return outcomes == nullptr ? info.Env().Undefined() : viewOf(info.Env(), outcomes);
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

// stop(queue, ticket)
Napi::Value stop(const Napi::CallbackInfo& info) {
  if (HeldQueue* held = queueAt(info)) held->queue().stop(wordAt(info, 1));
  return info.Env().Undefined();
}

// closeQueue(queue): nothing may be in flight
Napi::Value closeQueue(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).queues.remove(wordAt(info, 0));
  return info.Env().Undefined();
}

}  // namespace

void exportQueues(Napi::Env env, Napi::Object exports) {
  exportFunction<createQueue>(env, exports, "createQueue");
  exportFunction<holdSource>(env, exports, "holdSource");
  exportFunction<releaseSource>(env, exports, "releaseSource");
  exportFunction<submit>(env, exports, "submit");
  exportFunction<drain>(env, exports, "drain");
  exportFunction<takeOutcomes>(env, exports, "takeOutcomes");
  exportFunction<enqueueBegins>(env, exports, "enqueueBegins");
  exportFunction<completed>(env, exports, "completed");
  exportFunction<stop>(env, exports, "stop");
  exportFunction<closeQueue>(env, exports, "closeQueue");
}

}  // namespace ismio::binding
