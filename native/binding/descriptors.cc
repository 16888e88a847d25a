// What Node.js does not have for descriptors: of terminals, as src/console/keys.ts and pty.ts see them, and of sockets,
// as src/block/nbd/inlet.ts does.
#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "binding/arguments.h"
#include "binding/exports.h"

namespace ismio::binding {
namespace {

// setBreak(descriptor, on) -> 0 or an errno: until it is off, the line is held where nothing is sent (ioctl_tty(2))
Napi::Value setBreak(const Napi::CallbackInfo& info) {
  const auto descriptor = static_cast<int>(wordAt(info, 0));
  const bool on = flagAt(info, 1);
  const int answer = ioctl(descriptor, on ? TIOCSBRK : TIOCCBRK);
  return Napi::Number::New(info.Env(), answer == 0 ? 0 : errno);
}

// closeOnExec(descriptor) -> 0 or an errno: programs that are started do not get it (fcntl(2))
Napi::Value closeOnExec(const Napi::CallbackInfo& info) {
  const int answer = fcntl(static_cast<int>(wordAt(info, 0)), F_SETFD, FD_CLOEXEC);
  return Napi::Number::New(info.Env(), answer == 0 ? 0 : errno);
}

// duplicate(descriptor) -> another of the same, or -errno (fcntl(2))
Napi::Value duplicate(const Napi::CallbackInfo& info) {
  const int answer = fcntl(static_cast<int>(wordAt(info, 0)), F_DUPFD_CLOEXEC, 0);
  return Napi::Number::New(info.Env(), answer < 0 ? -errno : answer);
}

}  // namespace

void exportDescriptors(Napi::Env env, Napi::Object exports) {
  exportFunction<setBreak>(env, exports, "setBreak");
  exportFunction<closeOnExec>(env, exports, "closeOnExec");
  exportFunction<duplicate>(env, exports, "duplicate");
}

}  // namespace ismio::binding
