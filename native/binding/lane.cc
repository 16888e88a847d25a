// Lanes past a fabric, as src/ism sees them: the memory as a region, and the bell behind it.
#include <array>
#include <cerrno>
#include <utility>

#include "binding/exports.h"
#include "binding/held_connection.h"
#include "binding/held_region.h"
#include "insn/mmio.h"
#include "ism/doorbell.h"

namespace ismio::binding {
namespace {

using ism::Doorbell;
using vfio_user::Connection;

struct HeldBell final : Held {
  static constexpr HandleKind kKind = HandleKind::bell;
  explicit HeldBell(std::unique_ptr<Doorbell> rung) : bell(std::move(rung)) {}
  const std::unique_ptr<Doorbell> bell;
};

Napi::Value refusal(const Napi::CallbackInfo& info, const char* call, int errorNumber) {
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("call", call);
  told.Set("errno", errorNumber);
  return told;
}

// What the server lends of a token. 0 or an errno: EPROTO for an answer that no lane is.
int32_t lent(Connection& connection, uint64_t token, device::Lane& lane) {
  const vfio_user::LaneRequest asked{sizeof(vfio_user::LaneReply), 0, token};
  vfio_user::LaneReply told{};
  vfio_user::Reply reply;
  reply.head = {reinterpret_cast<uint8_t*>(&told), sizeof told};
  const std::span<const uint8_t> part(reinterpret_cast<const uint8_t*>(&asked), sizeof asked);
  const int32_t refused = connection.call(vfio_user::Command::ismLane, std::span(&part, 1), {}, reply);
  if (refused != 0) return refused;
  const bool whole = reply.length == sizeof told && reply.descriptors.size() == lane.descriptors.size();
  const bool index = told.index >= ism::kFirstDmb && told.index < ism::kDmbs;
  if (!whole || !index || told.length == 0 || told.length > ism::kLargestDmb) return EPROTO;
  for (size_t part = 0; part < lane.descriptors.size(); part++) lane.descriptors[part] = reply.descriptors.take(part);
  lane.length = told.length;
  lane.index = told.index;
  return 0;
}

// lane(connection, token: bigint, ...rules, name) -> {region, bell} | {call, errno}
Napi::Value lane(const Napi::CallbackInfo& info) {
  const HeldConnection* held = connectionAt(info);
  if (held == nullptr) return refusal(info, "", ENODEV);
  const std::shared_ptr<Connection> connection = held->connection;  // what the desk serves meanwhile may close it
  const std::shared_ptr<Regions> regions = held->regions;
  const Rules rules = rulesAt(info, 2);
  if (!wellFormed(rules)) return refusal(info, "", EINVAL);
  device::Lane made;
  if (const int32_t refused = lent(*connection, wideAt(info, 1), made)) return refusal(info, "lane", refused);
  File::Problem problem;
  const Mmio* mmio = kernels().memory;
  auto memory = Mapping::of(made.descriptors[device::Lane::memory], 0, made.length, true, problem);
  if (memory == nullptr) return refusal(info, problem.call, problem.errorNumber);
  auto bell = Doorbell::of(made, problem);
  if (bell == nullptr) return refusal(info, problem.call, problem.errorNumber);
  auto region = Region::create({made.length, rules, Kind::memory, true, textAt(info, 2 + kRuleArguments), mmio->name},
                               std::make_unique<Mapped>(std::move(memory), rules, mmio));
  regions->add(region);
  if (connection->lost() != Connection::Lost::no) region->lose(Loss::device);
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("region", hold(info, std::move(region)));
  const uint64_t number = Environment::of(info.Env()).handles.add(std::make_unique<HeldBell>(std::move(bell)));
  told.Set("bell", static_cast<double>(number));
  return told;
}

// ring(bell, colour) -> 0 or an errno
Napi::Value ring(const Napi::CallbackInfo& info) {
  const auto* held = Environment::of(info.Env()).handles.find<HeldBell>(handleAt(info, 0));
  const uint32_t colour = wordAt(info, 1);
  if (held == nullptr || colour >= ism::kColours) return Napi::Number::New(info.Env(), EINVAL);
  return Napi::Number::New(info.Env(), held->bell->ring(colour));
}

// closeBell(bell)
Napi::Value closeBell(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).handles.take<HeldBell>(handleAt(info, 0));
  return info.Env().Undefined();
}

}  // namespace

void exportLanes(Napi::Env env, Napi::Object exports) {
  Napi::Object lanes = Napi::Object::New(env);
  exportFunction<lane>(env, lanes, "open");
  exportFunction<ring>(env, lanes, "ring");
  exportFunction<closeBell>(env, lanes, "closeBell");
  exports.Set("lanes", lanes);
}

}  // namespace ismio::binding
