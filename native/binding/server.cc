// Servers of vfio-user, as src/vfio-user sees them.
#include "vfio-user/server.h"

#include <atomic>
#include <cerrno>
#include <memory>
#include <utility>

#include "binding/exports.h"
#include "binding/held_function.h"

namespace ismio::binding {
namespace {

using vfio_user::Event;
using vfio_user::Listener;
using vfio_user::Server;

class HeldServer final : public Held {
 public:
  static constexpr HandleKind kKind = HandleKind::server;

  HeldServer(Environment& environment, Napi::Function happened)
      : environment_(environment), happened_(Napi::Persistent(happened)) {
    keepAlive(true);
  }
  ~HeldServer() override {
    server_.reset();  // joins its thread, which uses the way back until then
    keepAlive(false);
  }

  // `number`: of this server, by which what happens finds it.
  bool start(uint64_t number, std::shared_ptr<device::Function> function, std::unique_ptr<Listener> listener,
             uint64_t maxDmaMaps, Server::Problem& problem);
  const vfio_user::Counts& counts() const { return server_->counts(); }

  // Whether it keeps the process running.
  void keepAlive(bool on) {
    if (on == keptAlive_) return;
    keptAlive_ = on;
    on ? environment_.back.await() : environment_.back.awaited();
  }

  void tell(const Event& event) const {
    const Napi::Env env = environment_.env;
    const auto number = [env](auto value) { return Napi::Number::New(env, static_cast<double>(value)); };
    callFromMessage(
        env, happened_.Value(),
        {number(event.what), number(event.error), number(event.process), number(event.user), number(event.group)});
  }

 private:
  Environment& environment_;
  Napi::FunctionReference happened_;
  std::unique_ptr<Server> server_;
  bool keptAlive_ = false;
};

// A client can have more requests refused than this thread comes to hear of; the rest are counted alone.
constexpr uint32_t kMostUntold = 1024;

// How many of what happened this thread has yet to hear of.
using Untold = std::shared_ptr<std::atomic<uint32_t>>;

class Happened final : public Message {
 public:
  Happened(uint64_t number, const Event& event, Untold untold)
      : number_(number), event_(event), untold_(std::move(untold)) {
    ++*untold_;
  }
  ~Happened() override { --*untold_; }
  void arrive(Environment& environment) override {
    const auto* server = environment.handles.find<HeldServer>(number_);
    if (server != nullptr) server->tell(event_);
  }

 private:
  const uint64_t number_;
  const Event event_;
  const Untold untold_;
};

bool HeldServer::start(uint64_t number, std::shared_ptr<device::Function> function, std::unique_ptr<Listener> listener,
                       uint64_t maxDmaMaps, Server::Problem& problem) {
  const auto told = [&back = environment_.back, number,
                     untold = std::make_shared<std::atomic<uint32_t>>(0)](const Event& event) {
    if (event.what == vfio_user::Happening::refused && *untold >= kMostUntold) return;
    back.send(std::make_unique<Happened>(number, event, untold));
  };
  server_ = Server::start(std::move(function), std::move(listener), maxDmaMaps, told, problem);
  return server_ != nullptr;
}

HeldServer* serverAt(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).handles.find<HeldServer>(handleAt(info, 0));
}

// open(device, path, mode, maxDmaMaps, happened) -> server | {call, errno}
Napi::Value open(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  Server::Problem problem{"open", ENODEV};
  std::shared_ptr<device::Function> function = functionAt(info, 0);
  std::unique_ptr<Listener> listener;
  if (function != nullptr) listener = Listener::open(textAt(info, 1), wordAt(info, 2), problem);
  if (listener != nullptr) {
    auto made = std::make_unique<HeldServer>(environment, info[4].As<Napi::Function>());
    HeldServer* held = made.get();
    const uint64_t number = environment.handles.add(std::move(made));
    if (held->start(number, std::move(function), std::move(listener), wordAt(info, 3), problem)) {
      return Napi::Number::New(info.Env(), static_cast<double>(number));
    }
    environment.handles.take<HeldServer>(number);
  }
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("call", problem.call);
  told.Set("errno", problem.errorNumber);
  return told;
}

// close(server): its thread has ended when it returns
Napi::Value close(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).handles.take<HeldServer>(handleAt(info, 0));
  return info.Env().Undefined();
}

// keepAlive(server, on)
Napi::Value keepAlive(const Napi::CallbackInfo& info) {
  if (HeldServer* server = serverAt(info)) server->keepAlive(flagAt(info, 1));
  return info.Env().Undefined();
}

// counts(server, into: Float64Array)
Napi::Value counts(const Napi::CallbackInfo& info) {
  const HeldServer* server = serverAt(info);
  if (server == nullptr || !info[1].IsTypedArray()) return info.Env().Undefined();
  const vfio_user::Counts& now = server->counts();
  auto into = info[1].As<Napi::Float64Array>();
  for (size_t i = 0; i < std::size(vfio_user::kCounted) && i < into.ElementLength(); i++) {
    into[i] = static_cast<double>((now.*vfio_user::kCounted[i].count).load());
  }
  return info.Env().Undefined();
}

}  // namespace

void exportServers(Napi::Env env, Napi::Object exports) {
  Napi::Object servers = Napi::Object::New(env);
  exportFunction<open>(env, servers, "open");
  exportFunction<close>(env, servers, "close");
  exportFunction<keepAlive>(env, servers, "keepAlive");
  exportFunction<counts>(env, servers, "counts");
  exports.Set("servers", servers);
}

}  // namespace ismio::binding
