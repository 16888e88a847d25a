// What one JavaScript thread has of this addon, and the one owner of everything that has to be undone when it ends.
#pragma once

#include <napi.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "backend/emulated/sparse.h"
#include "binding/answers.h"
#include "binding/handles.h"
#include "binding/way_back.h"
#include "device/desk.h"

namespace ismio::binding {

class ScriptAnswerer;
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

  // Lets go of what was taken out of the handles. What a handler closes may be what the access uses that called the
  // handler: then it goes with the next turn of the event loop.
  void letGo(std::unique_ptr<Held> held);

  // To the thread that the process began with, from any other; dropped where this addon is not loaded there.
  static void sendToFirst(std::unique_ptr<Message> message);

  const Napi::Env env;
  // A Worker, which may be terminated while it is in native code. The first thread of a process ends with the process,
  // and nobody waits for it.
  const bool ofWorker = gettid() != getpid();
  Handles handles;
  Answers answers;
  WayBack back;
  // Where accesses to this thread's devices are handed in by other threads, and who answers them.
  const std::unique_ptr<ScriptAnswerer> answerer;
  const std::shared_ptr<device::Desk> desk;
  const std::shared_ptr<SparseBytes::Account> emulatedBytes = std::make_shared<SparseBytes::Account>(0);
  // Handlers of devices that run within an access of this thread, or within its waiting.
  uint32_t handlers = 0;
  // Called when another thread has opened a mapped region; of the first thread alone.
  Napi::FunctionReference guarded;
  // Of signals, where they are not in the event loop; made with the first of them.
  std::unique_ptr<Watcher> watcher;

 private:
  void end();
  bool ended_ = false;
  std::vector<std::unique_ptr<Held>> left_;  // by handlers
  uint64_t emulatedBytesTold_ = 0;
  static void onEnd(void* environment) { static_cast<Environment*>(environment)->end(); }
};

}  // namespace ismio::binding
