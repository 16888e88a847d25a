#include "binding/environment.h"

#include <cstdlib>
#include <mutex>
#include <utility>

#include "binding/answerer.h"
#include "binding/watcher.h"

namespace ismio::binding {
namespace {

// Above 64 MiB of such memory V8 collects at each call that tells it of more, and what it finds is given back only in a
// later turn of the event loop: a loop without a turn would collect for each region that it opens.
constexpr int64_t kToldTogether = 32 << 20;

// The environment of the thread that the process began with, for the others.
std::mutex firstMutex;
Environment* first = nullptr;

void setFirst(Environment* environment) {
  const std::lock_guard<std::mutex> lock(firstMutex);
  first = environment;
}

class Leaving final : public Message {
 public:
  explicit Leaving(std::vector<std::unique_ptr<Held>>& left) : left_(left) {}
  void arrive(Environment&) override { left_.clear(); }

 private:
  std::vector<std::unique_ptr<Held>>& left_;
};

}  // namespace

Environment::Environment(Napi::Env environment)
    : env(environment),
      answers(environment),
      back(environment),
      answerer(std::make_unique<ScriptAnswerer>(*this)),
      desk(std::make_shared<device::Desk>(*answerer)) {
  if (!ready()) return;
  napi_add_env_cleanup_hook(env, onEnd, this);
  if (!ofWorker) setFirst(this);
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

void Environment::letGo(std::unique_ptr<Held> held) {
  if (held == nullptr || handlers == 0) return;
  if (left_.empty()) back.send(std::make_unique<Leaving>(left_));
  left_.push_back(std::move(held));
}

void Environment::sendToFirst(std::unique_ptr<Message> message) {
  const std::lock_guard<std::mutex> lock(firstMutex);
  if (first != nullptr) first->back.send(std::move(message));
}

void Environment::end() {
  ended_ = true;
  if (!ofWorker) setFirst(nullptr);
  guarded.Reset();
  desk->end();  // before threads are joined that may wait for it
  left_.clear();
  handles.clear();
  answerer->end();
  watcher.reset();
}

}  // namespace ismio::binding
