// Shards of a pool's transfer, as src/pool/worker.ts sees them.
#include <atomic>

#include "binding/exports.h"
#include "binding/held_region.h"
#include "binding/worker_lookout.h"
#include "memory/memory.h"

namespace ismio::binding {
namespace {

// A shard of a pool's transfer: its bytes are the view of a shared buffer, or memory by id; `control` is a shared
// Int32Array whose word 0 stops it; `progress` a shared BigUint64Array in which word `slot` says how far it is.
// `copied` when the bytes are in a buffer between the caller's and the region's.
struct Shard {
  std::shared_ptr<Memory> memory;
  Bytes bytes;
  std::atomic<uint32_t>* stop = nullptr;
  std::atomic<uint64_t>* progress = nullptr;
  bool copied = false;
};

// The arguments from 2 on: bytes | memory id, position, length, control, progress, slot, copied.
bool shardAt(const Napi::CallbackInfo& info, Shard& shard) {
  uint64_t position = 0;
  uint64_t length = 0;
  if (!offsetAt(info, 3, position) || !offsetAt(info, 4, length)) return false;
  if (info[2].IsNumber()) {
    shard.memory = Memory::find(static_cast<uint64_t>(numberAt(info, 2)));
    if (shard.memory == nullptr) return false;
    shard.bytes = {shard.memory->base(), shard.memory->size()};
  } else {
    shard.bytes = bytesAt(info, 2);
  }
  if (position > shard.bytes.length || length > shard.bytes.length - position) return false;
  shard.bytes = {shard.bytes.data + position, length};
  auto control = info[5].As<Napi::Int32Array>();
  auto progress = info[6].As<Napi::BigUint64Array>();
  const uint32_t slot = wordAt(info, 7);
  if (control.ElementLength() == 0 || slot >= progress.ElementLength()) return false;
  shard.stop = reinterpret_cast<std::atomic<uint32_t>*>(control.Data());
  shard.progress = reinterpret_cast<std::atomic<uint64_t>*>(progress.Data() + slot);
  shard.copied = flagAt(info, 8);
  return true;
}

// writeShard, readShard(region, offset, ...shard) -> status
template <auto transfer>
Napi::Value shard(const Napi::CallbackInfo& info) {
  Shard shard;
  if (!shardAt(info, shard)) return status(info, Environment::of(info.Env()).answers.put(Status::badEntry, Failure{}));
  return status(info, access(info, shard.bytes.length, [&](HeldRegion& held, uint64_t offset, Failure& failure) {
                  Issuer issuer(held.attachment);
                  WorkerLookout lookout(info.Env(), shard.stop);
                  issuer.watch(Stop(lookout), shard.progress);
                  if (shard.copied) held.attachment.counters().copies.add(1);
                  return (issuer.*transfer)(offset, shard.bytes.data, shard.bytes.length, failure);
                }));
}

}  // namespace

void exportShards(Napi::Env env, Napi::Object exports) {
  exportFunction<shard<&Issuer::write>>(env, exports, "writeShard");
  exportFunction<shard<&Issuer::read>>(env, exports, "readShard");
}

}  // namespace ismio::binding
