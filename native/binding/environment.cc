#include "binding/environment.h"

#include <cstdlib>

#include "binding/watcher.h"

namespace ismio::binding {
namespace {

// Above 64 MiB of such memory V8 collects at each call that tells it of more, and what it finds is given back only in a
// later turn of the event loop: a loop without a turn would collect for each region that it opens.
constexpr int64_t kToldTogether = 32 << 20;

}  // namespace

Environment::Environment(Napi::Env environment) : env(environment), answers(environment), back(environment) {
  if (ready()) napi_add_env_cleanup_hook(env, onEnd, this);
}

Environment::~Environment() {
  if (ended_) return;
  napi_remove_env_cleanup_hook(env, onEnd, this);
  end();
}

void Environment::tellEmulatedBytes() {
  const uint64_t held = emulatedBytes->load(std::memory_order_relaxed);
  const auto change = static_cast<int64_t>(held - emulatedBytesTold_);
  if (change == 0 || (std::abs(change) < kToldTogether && held != 0)) return;
  int64_t total = 0;
  if (napi_adjust_external_memory(env, change, &total) == napi_ok) emulatedBytesTold_ = held;
}

void Environment::end() {
  ended_ = true;
  handles.clear();
  watcher.reset();
}

}  // namespace ismio::binding
