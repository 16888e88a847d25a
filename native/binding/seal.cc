// Blocks of a recording as they are written and read, as src/record sees them. A sealed block begins with its own
// checksum.
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "binding/arguments.h"
#include "binding/exports.h"
#include "support/fletcher.h"

namespace ismio::binding {
namespace {

constexpr size_t kSealBytes = sizeof(Fletcher::Sums);
constexpr size_t kGroupBytes = 16;  // what the checksum is made of
using Seal = std::array<uint8_t, kSealBytes>;

// So much is read before it is summed: the near caches still have it then.
constexpr size_t kStretch = 1 << 17;

Seal sealOf(const Fletcher& sums) {
  const Fletcher::Sums words = sums.get();
  Seal seal{};
  for (size_t at = 0; at < kSealBytes; at++) seal[at] = static_cast<uint8_t>(words[at / 8] >> (at % 8 * 8));
  return seal;
}

// seal(block): writes the checksum of the rest into the first 32 bytes
Napi::Value seal(const Napi::CallbackInfo& info) {
  const Bytes block = bytesAt(info, 0);
  if (block.length < kSealBytes) return info.Env().Undefined();
  Fletcher sums;
  sums.add(block.data + kSealBytes, block.length - kSealBytes);
  std::ranges::copy(sealOf(sums), block.data);
  return info.Env().Undefined();
}

// Fills a buffer from a file, and checks the block at its beginning, on a thread of libuv's pool.
class SealedRead final : public Napi::AsyncWorker {
 public:
  struct Job {
    int file;
    uint64_t position;  // in the file, of the first byte to read
    size_t filled;      // bytes of the buffer that are there already
    size_t block;       // bytes of the block
  };

  SealedRead(const Napi::Uint8Array& buffer, const Bytes& bytes, const Job& job, const Napi::Function& done)
      : AsyncWorker(done, "ismio.readSealed"), held_(Napi::Persistent(buffer)), bytes_(bytes), job_(job) {}

  void Execute() override {
    Fletcher sums;
    size_t summed = kSealBytes;
    while (errno_ == 0 && filled_ < bytes_.length && readMore()) {
      const size_t groups = std::min(filled_, job_.block) / kGroupBytes * kGroupBytes;
      if (groups <= summed) continue;
      sums.add(bytes_.data + summed, groups - summed);
      summed = groups;
    }
    const Seal seal = sealOf(sums);
    const bool whole = job_.block >= kSealBytes && job_.block <= bytes_.length && job_.block <= filled_;
    fits_ = whole && std::equal(seal.begin(), seal.end(), bytes_.data);
  }

  std::vector<napi_value> GetResult(Napi::Env env) override {
    Napi::Object result = Napi::Object::New(env);
    result.Set("errno", errno_);
    result.Set("filled", static_cast<double>(filled_));
    result.Set("fits", fits_);
    return {env.Null(), result};
  }

 private:
  // False at the end of the file.
  bool readMore() {
    const size_t wanted = std::min(kStretch, bytes_.length - filled_);
    const auto position = static_cast<off_t>(job_.position + (filled_ - job_.filled));
    const ssize_t read = ::pread(job_.file, bytes_.data + filled_, wanted, position);
    if (read < 0 && errno != EINTR) errno_ = errno;
    if (read > 0) filled_ += static_cast<size_t>(read);
    return read != 0;
  }

  const Napi::Reference<Napi::Uint8Array> held_;  // the memory stays while it is filled
  const Bytes bytes_;
  const Job job_;
  size_t filled_ = job_.filled;
  int errno_ = 0;
  bool fits_ = false;
};

// readSealed(file, position, buffer, filled, block, done): reads the bytes of the file from `position` on into the rest
// of the buffer, of which `filled` bytes are there. Calls done(null, {errno, filled, fits}): how many are there then,
// and whether the checksum of the first `block` of them fits. The buffer stays as it is until then
Napi::Value readSealed(const Napi::CallbackInfo& info) {
  SealedRead::Job job{static_cast<int>(wordAt(info, 0)), 0, wordAt(info, 3), wordAt(info, 4)};
  if (!offsetAt(info, 1, job.position)) job.position = UINT64_MAX;  // the kernel refuses it
  const auto buffer = info[2].As<Napi::Uint8Array>();
  (new SealedRead(buffer, bytesAt(info, 2), job, info[5].As<Napi::Function>()))->Queue();
  return info.Env().Undefined();  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): it deletes itself when it is done
}

}  // namespace

void exportSeals(Napi::Env env, Napi::Object exports) {
  exportFunction<seal>(env, exports, "seal");
  exportFunction<readSealed>(env, exports, "readSealed");
}

}  // namespace ismio::binding
