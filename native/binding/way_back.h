// The way back to a JavaScript thread from the threads that work for it: what they have to say is said there, in the
// order in which it came. One thread-safe function for all of them.
#pragma once

#include <napi.h>

#include <cstdint>
#include <initializer_list>
#include <memory>

namespace ismio::binding {

class Environment;

// Said on the JavaScript thread. What has ended meanwhile is found no more by its number, and nobody is told.
class Message {
 public:
  Message() = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  virtual ~Message() = default;
  virtual void arrive(Environment& environment) = 0;
};

class WayBack {
 public:
  explicit WayBack(napi_env env);
  WayBack(const WayBack&) = delete;
  WayBack& operator=(const WayBack&) = delete;

  // False on a thread that is being terminated.
  bool ready() const { return function_ != nullptr; }

  // From any thread, while the environment lives. Dropped when it is about to end.
  void send(std::unique_ptr<Message> message) const;

  // The JavaScript thread goes on while somebody waits: each call of `await` is undone by one of `awaited`.
  void await();
  void awaited();

 private:
  static void onMessage(napi_env env, napi_value function, void* context, void* message);

  const napi_env env_;
  napi_threadsafe_function function_ = nullptr;
  uint64_t waiting_ = 0;
};

// Calls a function of JavaScript from the event loop: ticks and promises run when it has returned. What it throws is an
// uncaught exception, as of any other callback of the event loop. (Left with Node-API it would be a warning, or the
// next native call would throw it.)
void callBack(Napi::Env env, const Napi::Function& function, std::initializer_list<napi_value> arguments);

// The same from within `Message::arrive`, behind which ticks and promises run in any case.
void callFromMessage(Napi::Env env, const Napi::Function& function, std::initializer_list<napi_value> arguments);

}  // namespace ismio::binding
