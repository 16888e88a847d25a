#include "binding/answerer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "binding/environment.h"
#include "binding/worker_lookout.h"
#include "device/function.h"

namespace ismio::binding {
namespace {

using device::Handled;
using device::Request;

constexpr size_t kWord = sizeof(Request::word);

// The event loop serves the desk.
class Served final : public Message {
 public:
  void arrive(Environment& environment) override { environment.desk->serve(); }
};

// Handlers run within something.
class Within {
 public:
  explicit Within(uint32_t& handlers) : handlers_(handlers) { handlers_++; }
  ~Within() { handlers_--; }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  uint32_t& handlers_;
};

bool inWord(const Request& request) { return request.length <= kWord && request.kind != Handled::storeBlock; }

}  // namespace

void ScriptAnswerer::answerBy(Napi::Function function, Napi::Uint8Array word, Napi::Function later) {
  function_ = Napi::Persistent(function);
  later_ = Napi::Persistent(later);
  wordHeld_ = Napi::Reference<Napi::Uint8Array>::New(word, 1);
  word_ = word.Data();
}

void ScriptAnswerer::wake() { environment_.back.send(std::make_unique<Served>()); }

void ScriptAnswerer::wakeLater() {
  const Napi::Env env = environment_.env;
  const Napi::HandleScope scope(env);
  napi_value none = nullptr;
  if (!later_.IsEmpty()) napi_call_function(env, env.Global(), later_.Value(), 0, nullptr, &none);
}

bool ScriptAnswerer::answer(const std::shared_ptr<Request>& request, int32_t& error, Later later) {
  error = EIO;
  if (function_.IsEmpty()) return true;
  const int64_t answered = call(*request);
  if (answered >= 0) {
    error = static_cast<int32_t>(answered);
    return true;
  }
  if (later == nullptr) {
    error = EDEADLK;
    return true;
  }
  promised_.emplace(static_cast<uint64_t>(-answered), Promised{request, std::move(later)});
  return false;
}

// The word is filled right before the call and emptied right behind it: a handler may access its own device meanwhile.
int64_t ScriptAnswerer::call(Request& request) {
  const Napi::Env env = environment_.env;
  const Napi::HandleScope scope(env);
  const Within within(environment_.handlers);
  napi_value bytes = env.Undefined();
  uint8_t* target = nullptr;
  if (inWord(request)) {
    memcpy(word_, request.word, kWord);  // a device's
  } else {
    auto array = Napi::Uint8Array::New(env, request.length);
    if (env.IsExceptionPending()) {
      env.GetAndClearPendingException();
      return ENOMEM;
    }
    target = array.Data();
    if (request.kind != Handled::load) memcpy(target, request.block.data(), request.block.size());  // a device's
    bytes = array;
  }
  const napi_value arguments[] = {Napi::Number::New(env, static_cast<double>(request.function->number)),
                                  Napi::Number::New(env, static_cast<double>(request.kind)),
                                  Napi::Number::New(env, request.region),
                                  Napi::Number::New(env, static_cast<double>(request.offset)),
                                  Napi::Number::New(env, request.length),
                                  bytes};
  napi_value answered = nullptr;
  int64_t told = EIO;
  const napi_status called =
      napi_call_function(env, env.Global(), function_.Value(), std::size(arguments), arguments, &answered);
  if (called != napi_ok || napi_get_value_int64(env, answered, &told) != napi_ok) return unanswered();
  if (request.kind == Handled::load && told == 0) {
    if (target == nullptr) {
      memcpy(request.word, word_, kWord);  // a device's
    } else {
      request.block.assign(target, target + request.length);
    }
  }
  return told;
}

// A thread that is being terminated takes its devices with it. Else a listener threw, and what it threw goes on its
// way.
int64_t ScriptAnswerer::unanswered() const {
  const napi_env env = environment_.env;
  napi_value thrown = nullptr;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) napi_get_and_clear_last_exception(env, &thrown);
  if (environment_.ofWorker && WorkerLookout(env).ends()) return ENODEV;
  if (thrown != nullptr) napi_throw(env, thrown);
  return EIO;
}

void ScriptAnswerer::settle(uint64_t ticket, int32_t error, const uint8_t* bytes, size_t length) {
  const auto found = promised_.find(ticket);
  if (found == promised_.end()) return;
  const Promised promised = std::move(found->second);
  promised_.erase(found);
  Request& request = *promised.request;
  if (request.kind == Handled::load && error == 0) {
    if (inWord(request)) {
      memcpy(request.word, word_, kWord);  // a device's
    } else {
      request.block.assign(bytes, bytes + std::min<size_t>(length, request.length));
      request.block.resize(request.length);
    }
  }
  promised.later(error);
}

void ScriptAnswerer::end() {
  function_.Reset();
  later_.Reset();
  wordHeld_.Reset();
  promised_.clear();
}

}  // namespace ismio::binding
