// What one JavaScript thread has of this addon, and the one owner of everything that has to be undone when it ends.
#pragma once

#include <napi.h>
#include <unistd.h>

#include <memory>

#include "backend/emulated/sparse.h"
#include "binding/answers.h"
#include "binding/handles.h"
#include "binding/way_back.h"

namespace ismio::binding {

class Watcher;

// The order of taking down matters. The way back is gone as soon as Node.js tears the thread's environment down, and no
// other thread may use it then. Cleanup hooks run last in, first out; ours is added after that of the way back, so it
// runs before: it joins the threads, and lets go of everything else.
class Environment {
 public:
  explicit Environment(Napi::Env env);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  // False on a thread that is being terminated, or has no memory left: nothing may be called then.
  bool ready() const { return answers.ready() && back.ready(); }

  static Environment& of(napi_env env) { return *Napi::Env(env).GetInstanceData<Environment>(); }

  // Tells V8 how much memory the emulated regions of this thread have come to have, or have given back: it would
  // collect those that nobody holds too late otherwise. For calls that are rare; memory comes in chunks of megabytes.
  void tellEmulatedBytes();

  const Napi::Env env;
  // A Worker, which may be terminated while it is in native code. The first thread of a process ends with the process,
  // and nobody waits for it.
  const bool ofWorker = gettid() != getpid();
  Handles handles;
  Answers answers;
  WayBack back;
  const std::shared_ptr<SparseBytes::Account> emulatedBytes = std::make_shared<SparseBytes::Account>(0);
  // Of signals, where they are not in the event loop; made with the first of them.
  std::unique_ptr<Watcher> watcher;

 private:
  void end();
  bool ended_ = false;
  uint64_t emulatedBytesTold_ = 0;
  static void onEnd(void* environment) { static_cast<Environment*>(environment)->end(); }
};

}  // namespace ismio::binding
