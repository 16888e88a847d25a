// Checksums of a recording's blocks, as src/record sees them. A sealed block begins with its own checksum.
#include <algorithm>

#include "binding/environment.h"
#include "support/fletcher.h"

namespace ismio::binding {
namespace {

constexpr size_t kSealBytes = sizeof(Fletcher);

using Seal = std::array<uint8_t, kSealBytes>;

Seal sealOf(const Bytes& block) {
  const Fletcher sums = fletcher(block.data + kSealBytes, block.length - kSealBytes);
  Seal seal{};
  for (size_t at = 0; at < kSealBytes; at++) seal[at] = static_cast<uint8_t>(sums[at / 8] >> (at % 8 * 8));
  return seal;
}

bool sealed(const Bytes& block) {
  const Seal seal = sealOf(block);
  return std::equal(seal.begin(), seal.end(), block.data);
}

// seal(block): writes the checksum of the rest into the first 32 bytes
Napi::Value seal(const Napi::CallbackInfo& info) {
  const Bytes block = bytesAt(info, 0);
  if (block.length >= kSealBytes) std::ranges::copy(sealOf(block), block.data);
  return info.Env().Undefined();
}

// The check of one block on a thread of libuv's pool.
class Check final : public Napi::AsyncWorker {
 public:
  Check(const Napi::Uint8Array& block, const Bytes& bytes, const Napi::Function& done)
      : AsyncWorker(done, "ismio.unseal"), held_(Napi::Persistent(block)), bytes_(bytes) {}

  void Execute() override { fits_ = sealed(bytes_); }
  std::vector<napi_value> GetResult(Napi::Env env) override { return {env.Null(), Napi::Boolean::New(env, fits_)}; }

 private:
  const Napi::Reference<Napi::Uint8Array> held_;  // the memory stays while it is read
  const Bytes bytes_;
  bool fits_ = false;
};

// unseal(block, done): calls done(null, whether the checksum fits). The block stays as it is until then
Napi::Value unseal(const Napi::CallbackInfo& info) {
  const Bytes block = bytesAt(info, 0);
  const auto done = info[1].As<Napi::Function>();
  if (block.length < kSealBytes) return done.Call({info.Env().Null(), Napi::Boolean::New(info.Env(), false)});
  (new Check(info[0].As<Napi::Uint8Array>(), block, done))->Queue();
  return info.Env().Undefined();  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): it deletes itself when it is done
}

}  // namespace

void exportSeals(Napi::Env env, Napi::Object exports) {
  exportFunction<seal>(env, exports, "seal");
  exportFunction<unseal>(env, exports, "unseal");
}

}  // namespace ismio::binding
