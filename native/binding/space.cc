// What Node.js does not do with files: holes, zeros, extents, what is to be read ahead, locks. As
// src/block/file-disk.ts sees it; on libuv's threads, because each may wait for a disk or a file server.
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "binding/arguments.h"
#include "binding/exports.h"

namespace ismio::binding {
namespace {

struct Range {
  int file = -1;
  uint64_t offset = UINT64_MAX;
  uint64_t length = UINT64_MAX;
};

// file, offset, length from the first argument on. What is no range there becomes one that the kernel refuses.
Range rangeAt(const Napi::CallbackInfo& info) {
  Range range{static_cast<int>(wordAt(info, 0))};
  if (!offsetAt(info, 1, range.offset) || !offsetAt(info, 2, range.length)) range.file = -1;
  return range;
}

// One call that answers 0, or -1 and errno. Calls done(null, errno).
class SpaceCall final : public Napi::AsyncWorker {
 public:
  enum class Kind : uint32_t { punch, zero, allocate, readAhead, lockShared, testLock };

  SpaceCall(Kind kind, const Range& range, const Napi::Function& done)
      : AsyncWorker(done, "ismio.space"), kind_(kind), range_(range) {}

  void Execute() override {
    do {
      errno_ = once();
    } while (errno_ == EINTR);
  }

  std::vector<napi_value> GetResult(Napi::Env env) override { return {env.Null(), Napi::Number::New(env, errno_)}; }

 private:
  int once() const {
    switch (kind_) {
      case Kind::readAhead: return advise();
      case Kind::lockShared: return lockShared();
      case Kind::testLock: return testLock();
      default: return allocate();
    }
  }

  int advise() const {
    return posix_fadvise(range_.file, static_cast<off_t>(range_.offset), static_cast<off_t>(range_.length),
                         POSIX_FADV_WILLNEED);
  }

  int allocate() const {
    const int mode = kind_ == Kind::punch  ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
                     : kind_ == Kind::zero ? FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE
                                           : FALLOC_FL_KEEP_SIZE;
    const int done = fallocate(range_.file, mode, static_cast<off_t>(range_.offset), static_cast<off_t>(range_.length));
    return done == 0 ? 0 : errno;
  }

  // A lock of the open file description: it goes when that is closed for the last time, at the end of its process at
  // the latest, and not when another descriptor of the same file is closed, as one of a process would.
  int lockShared() const {
    struct flock lock = lockOf(F_RDLCK);
    return fcntl(range_.file, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
  }

  // Whether another description has a lock there, of any kind: EAGAIN where it has.
  int testLock() const {
    struct flock lock = lockOf(F_WRLCK);
    if (fcntl(range_.file, F_OFD_GETLK, &lock) != 0) return errno;
    return lock.l_type == F_UNLCK ? 0 : EAGAIN;
  }

  struct flock lockOf(short type) const {
    struct flock lock = {};  // l_pid has to be 0
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(range_.offset);
    lock.l_len = static_cast<off_t>(range_.length);
    return lock;
  }

  const Kind kind_;
  const Range range_;
  int errno_ = 0;
};

// Where the data of a file ends and begins, from an offset on. Calls done(null, errno, count): so many boundaries are
// in `into`, the first of them of data, then of a hole, and so on; the last one is at the end of the range or behind
// it, where the memory sufficed.
class Extents final : public Napi::AsyncWorker {
 public:
  Extents(const Range& range, Napi::Float64Array into, const Napi::Function& done)
      : AsyncWorker(done, "ismio.extents"),
        range_(range),
        held_(Napi::Persistent(into)),
        into_(into.Data()),
        most_(into.ElementLength()) {}

  void Execute() override {
    const uint64_t end = range_.offset + range_.length;
    uint64_t at = range_.offset;
    bool isData = true;  // data is looked for, then a hole
    while (count_ < most_ && at < end) {
      const off_t found = lseek(range_.file, static_cast<off_t>(at), isData ? SEEK_DATA : SEEK_HOLE);
      if (found < 0 && errno != ENXIO) {
        errno_ = errno;
        return;
      }
      at = found < 0 ? end : std::min(static_cast<uint64_t>(found), end);  // ENXIO: nothing but a hole is left
      into_[count_++] = static_cast<double>(at);
      isData = !isData;
    }
  }

  std::vector<napi_value> GetResult(Napi::Env env) override {
    return {env.Null(), Napi::Number::New(env, errno_), Napi::Number::New(env, static_cast<double>(count_))};
  }

 private:
  const Range range_;
  const Napi::Reference<Napi::Float64Array> held_;  // the memory stays while it is filled
  double* const into_;
  const size_t most_;
  size_t count_ = 0;
  int errno_ = 0;
};

// punch(file, offset, length, done), and so on
template <SpaceCall::Kind kind>
Napi::Value call(const Napi::CallbackInfo& info) {
  (new SpaceCall(kind, rangeAt(info), info[3].As<Napi::Function>()))->Queue();
  return info.Env().Undefined();  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): it deletes itself when it is done
}

// extents(file, offset, length, into: Float64Array, done)
Napi::Value extents(const Napi::CallbackInfo& info) {
  (new Extents(rangeAt(info), info[3].As<Napi::Float64Array>(), info[4].As<Napi::Function>()))->Queue();
  return info.Env().Undefined();  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): it deletes itself when it is done
}

}  // namespace

void exportSpace(Napi::Env env, Napi::Object exports) {
  Napi::Object space = Napi::Object::New(env);
  exportFunction<call<SpaceCall::Kind::punch>>(env, space, "punch");
  exportFunction<call<SpaceCall::Kind::zero>>(env, space, "zero");
  exportFunction<call<SpaceCall::Kind::allocate>>(env, space, "allocate");
  exportFunction<call<SpaceCall::Kind::readAhead>>(env, space, "readAhead");
  exportFunction<call<SpaceCall::Kind::lockShared>>(env, space, "lockShared");
  exportFunction<call<SpaceCall::Kind::testLock>>(env, space, "testLock");
  exportFunction<extents>(env, space, "extents");
  exports.Set("space", space);
}

}  // namespace ismio::binding
