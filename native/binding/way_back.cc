#include "binding/way_back.h"

#include "binding/environment.h"

namespace ismio::binding {

WayBack::WayBack(napi_env env) : env_(env) {
  napi_value name = nullptr;
  if (napi_create_string_latin1(env, "ismio", NAPI_AUTO_LENGTH, &name) != napi_ok) return;
  napi_threadsafe_function function = nullptr;
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, onMessage,
                                      &function) != napi_ok) {
    return;
  }
  function_ = function;
  napi_unref_threadsafe_function(env, function_);
}

void WayBack::send(std::unique_ptr<Message> message) const {
  Message* const sent = message.release();
  if (napi_call_threadsafe_function(function_, sent, napi_tsfn_nonblocking) != napi_ok) message.reset(sent);
}

void WayBack::await() {
  if (waiting_++ == 0) napi_ref_threadsafe_function(env_, function_);
}

void WayBack::awaited() {
  if (--waiting_ == 0) napi_unref_threadsafe_function(env_, function_);
}

void WayBack::onMessage(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<Message> message(static_cast<Message*>(data));
  if (env != nullptr) message->arrive(Environment::of(env));  // else the environment is going: nobody is left to tell
}

namespace {

// What a callback threw, if it did, is an uncaught exception.
void tellThrown(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  bool pending = false;
  napi_value thrown = nullptr;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

}  // namespace

void callBack(Napi::Env env, const Napi::Function& function, std::initializer_list<napi_value> arguments) {
  napi_value result = nullptr;
  tellThrown(env,
             napi_make_callback(env, nullptr, env.Global(), function, arguments.size(), arguments.begin(), &result));
}

void callFromMessage(Napi::Env env, const Napi::Function& function, std::initializer_list<napi_value> arguments) {
  napi_value result = nullptr;
  tellThrown(env, napi_call_function(env, env.Global(), function, arguments.size(), arguments.begin(), &result));
}

}  // namespace ismio::binding
