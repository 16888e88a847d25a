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

void Environment::end() {
  ended_ = true;
  handles.clear();
  watcher.reset();
}

}  // namespace ismio::binding
