// A connection to a device of another process, as a JavaScript thread holds it.
#pragma once

#include <napi.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/environment.h"
#include "region/region.h"
#include "vfio-user/connection.h"

namespace ismio::binding {

// The regions of a connection, which are lost with it: what of them is mapped would answer still.
class Regions {
 public:
  void add(const std::shared_ptr<Region>& region) {
    const std::lock_guard lock(mutex_);
    std::erase_if(all_, [](const std::weak_ptr<Region>& one) { return one.expired(); });
    all_.push_back(region);
  }
  void lose() {
    const std::lock_guard lock(mutex_);
    for (const std::weak_ptr<Region>& one : all_) {
      if (const auto region = one.lock()) region->lose(Loss::device);
    }
  }

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<Region>> all_;
};

struct HeldConnection final : Held {
  static constexpr HandleKind kKind = HandleKind::connection;
  HeldConnection(std::shared_ptr<vfio_user::Connection> connection, Napi::Function told)
      : connection(std::move(connection)), told(Napi::Persistent(told)) {}
  ~HeldConnection() override { connection->close(); }

  const std::shared_ptr<vfio_user::Connection> connection;
  const std::shared_ptr<Regions> regions = std::make_shared<Regions>();
  const Napi::FunctionReference told;
};

// The connection that is argument 0; null where there is none.
inline HeldConnection* connectionAt(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).handles.find<HeldConnection>(handleAt(info, 0));
}

}  // namespace ismio::binding
