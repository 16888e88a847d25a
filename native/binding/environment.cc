#include "binding/environment.h"

#include "binding/watcher.h"

namespace ismio::binding {

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
  if (held == emulatedBytesTold_) return;
  int64_t total = 0;
  const auto change = static_cast<int64_t>(held - emulatedBytesTold_);
  if (napi_adjust_external_memory(env, change, &total) == napi_ok) emulatedBytesTold_ = held;
}

void Environment::end() {
  ended_ = true;
  handles.clear();
  watcher.reset();
}

}  // namespace ismio::binding
