// Connections to devices of other processes, as src/vfio-user sees them. A negative answer is -errno.
#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/vfio/vfio.h"
#include "binding/exports.h"
#include "binding/held_connection.h"
#include "binding/held_region.h"
#include "memory/memory.h"
#include "vfio-user/connection.h"
#include "vfio-user/remote.h"

namespace ismio::binding {
namespace {

using vfio_user::Command;
using vfio_user::Connection;
using vfio_user::Reply;

Napi::Value tell(const Napi::CallbackInfo& info, int64_t answer) {
  return Napi::Number::New(info.Env(), static_cast<double>(answer));
}

Napi::Value refusal(const Napi::CallbackInfo& info, const char* call, int errorNumber) {
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("call", call);
  told.Set("errno", errorNumber);
  return told;
}

class Lost final : public Message {
 public:
  Lost(uint64_t number, Connection::Lost why) : number_(number), why_(why) {}
  void arrive(Environment& environment) override {
    const auto* held = environment.handles.find<HeldConnection>(number_);
    if (held == nullptr) return;
    callFromMessage(environment.env, held->told.Value(),
                    {Napi::Number::New(environment.env, static_cast<uint32_t>(why_))});
  }

 private:
  const uint64_t number_;
  const Connection::Lost why_;
};

// connect(path, milliseconds, told: (why) => void) -> {connection, process, user} | {call, errno}
Napi::Value connect(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  Connection::Problem problem;
  const Connection::Options options{std::chrono::milliseconds(wordAt(info, 1)), environment.desk};
  std::shared_ptr<Connection> connection = Connection::open(textAt(info, 0), options, problem);
  if (connection == nullptr) return refusal(info, problem.call, problem.errorNumber);
  auto held = std::make_unique<HeldConnection>(connection, info[2].As<Napi::Function>());
  const std::shared_ptr<Regions> regions = held->regions;
  const uint64_t number = environment.handles.add(std::move(held));
  // Nobody is told once the handle has gone, and the way back is there as long as handles are.
  connection->whenLost([regions, number, &back = environment.back](Connection::Lost why) {
    regions->lose();
    back.send(std::make_unique<Lost>(number, why));
  });
  Napi::Object made = Napi::Object::New(info.Env());
  made.Set("connection", static_cast<double>(number));
  made.Set("process", connection->peer().process);
  made.Set("user", connection->peer().user);
  return made;
}

// call(connection, command, payload, descriptors: Int32Array | null, reply) -> bytes of the reply
Napi::Value call(const Napi::CallbackInfo& info) {
  const HeldConnection* held = connectionAt(info);
  if (held == nullptr) return tell(info, -ENODEV);
  const std::shared_ptr<Connection> connection = held->connection;  // what the desk serves meanwhile may close it
  const Bytes payload = bytesAt(info, 2);
  const Bytes target = bytesAt(info, 4);
  std::vector<int> descriptors;
  if (info[3].IsTypedArray()) {
    const auto given = info[3].As<Napi::Int32Array>();
    descriptors.assign(given.Data(), given.Data() + given.ElementLength());
  }
  // What JavaScript has may be detached by what is served meanwhile.
  const std::vector<uint8_t> sent(payload.data, payload.data + payload.length);
  std::vector<uint8_t> came(target.length);
  Reply reply;
  reply.head = came;
  const std::span<const uint8_t> part(sent);
  const int32_t error =
      connection->call(static_cast<Command>(wordAt(info, 1)), std::span(&part, 1), descriptors, reply);
  if (error != 0) return tell(info, -error);
  const Bytes into = bytesAt(info, 4);
  std::copy_n(came.begin(), std::min(reply.length, into.length), into.data);  // a device's
  return tell(info, static_cast<int64_t>(reply.length));
}

// lost(connection) -> why, or 0
Napi::Value lost(const Napi::CallbackInfo& info) {
  const HeldConnection* held = connectionAt(info);
  const Connection::Lost why = held == nullptr ? Connection::Lost::closed : held->connection->lost();
  return tell(info, static_cast<int64_t>(why));
}

// close(connection)
Napi::Value close(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).handles.take<HeldConnection>(handleAt(info, 0));
  return info.Env().Undefined();
}

template <class Request>
int32_t ask(Connection& connection, Command command, const Request& request, std::span<const int> descriptors,
            Reply& reply) {
  const std::span<const uint8_t> part(reinterpret_cast<const uint8_t*>(&request), sizeof request);
  return connection.call(command, std::span(&part, 1), descriptors, reply);
}

// mapDma(connection, iova: bigint, memory, position, length, readable, writable). Memory that is shared goes with its
// descriptor; a server asks for other memory by messages.
Napi::Value mapDma(const Napi::CallbackInfo& info) {
  const HeldConnection* held = connectionAt(info);
  if (held == nullptr) return tell(info, -ENODEV);
  const std::shared_ptr<Connection> connection = held->connection;
  const std::shared_ptr<Memory> memory = Memory::find(static_cast<uint64_t>(numberAt(info, 2)));
  uint64_t position = 0;
  uint64_t length = 0;
  if (memory == nullptr || !offsetAt(info, 3, position) || !offsetAt(info, 4, length)) return tell(info, -EFAULT);
  if (position > memory->mapped() || length > memory->mapped() - position) return tell(info, -EFAULT);
  const bool readable = flagAt(info, 5);
  const bool writable = flagAt(info, 6);
  const uint64_t iova = wideAt(info, 1);
  int32_t error = connection->dma().map(iova, {length, readable, writable, memory->base() + position, memory, nullptr});
  if (error != 0) return tell(info, -error);
  const int descriptor = memory->descriptor();
  const uint32_t flags = (readable ? vfio_user::kDmaReadable : 0) | (writable ? vfio_user::kDmaWritable : 0);
  const vfio_user::DmaMapRequest request{sizeof request, flags, descriptor < 0 ? 0 : position, iova, length};
  Reply reply;
  error = ask(*connection, Command::dmaMap, request, std::span(&descriptor, descriptor < 0 ? 0 : 1), reply);
  uint64_t unmapped = 0;
  if (error != 0) connection->dma().unmap(iova, length, unmapped);
  return tell(info, -error);
}

// unmapDma(connection, iova: bigint, length) -> bytes that were unmapped
Napi::Value unmapDma(const Napi::CallbackInfo& info) {
  const HeldConnection* held = connectionAt(info);
  uint64_t length = 0;
  if (held == nullptr) return tell(info, -ENODEV);
  if (!offsetAt(info, 2, length)) return tell(info, -EINVAL);
  const std::shared_ptr<Connection> connection = held->connection;
  const vfio_user::DmaUnmapRequest request{sizeof request, 0, wideAt(info, 1), length};
  vfio_user::DmaUnmapRequest told{};
  Reply reply;
  reply.head = {reinterpret_cast<uint8_t*>(&told), sizeof told};
  const int32_t error = ask(*connection, Command::dmaUnmap, request, {}, reply);
  // A server that is lost reaches nothing any more.
  const bool gone = connection->lost() != Connection::Lost::no;
  if (error != 0 && !gone) return tell(info, -error);
  uint64_t unmapped = 0;
  const int32_t own = connection->dma().unmap(request.address, length, unmapped);
  if (own != 0) return tell(info, -own);
  // Some servers say nothing of what they unmapped.
  return tell(info, static_cast<int64_t>(error == 0 && reply.length == sizeof told ? told.size : unmapped));
}

struct Wanted {
  uint32_t index;
  uint64_t size;
  bool writable;
  bool posted;
  const Mmio* mmio;
  Rules rules;
};

// The descriptor of what of a region can be mapped, and where it begins in that. It comes with the answer that has room
// for all.
int32_t mappable(Connection& connection, uint32_t index, vfio_user::Descriptors& descriptors, uint64_t& base) {
  struct RegionInfo {
    uint32_t argsz, flags, index, capOffset;
    uint64_t size, offset;
  };
  constexpr uint32_t kMostBytes = 1u << 16;
  RegionInfo asked{sizeof asked, 0, index, 0, 0, 0};
  for (int turn = 0; turn < 2; turn++) {
    RegionInfo told{};
    std::vector<uint8_t> rest(asked.argsz - sizeof told);
    Reply reply{{reinterpret_cast<uint8_t*>(&told), sizeof told}, rest, 0, {}};
    const int32_t error = ask(connection, Command::deviceGetRegionInfo, asked, {}, reply);
    if (error != 0) return error;
    if (reply.length < sizeof told || told.argsz > kMostBytes) return EPROTO;
    if (reply.descriptors.size() > 0) {
      descriptors = std::move(reply.descriptors);
      base = told.offset;
      return 0;
    }
    if (told.argsz <= asked.argsz) break;
    asked.argsz = told.argsz;
  }
  return ENXIO;
}

// Areas in ascending order: pairs of offset and length.
std::unique_ptr<Backend> backendOf(const std::shared_ptr<Connection>& connection, const Wanted& wanted,
                                   std::span<const double> areas, File::Problem& problem) {
  auto rest = std::make_unique<vfio_user::Remote>(connection, wanted.index, wanted.rules, wanted.posted);
  if (areas.empty()) return rest;
  vfio_user::Descriptors descriptors;
  uint64_t base = 0;
  problem.call = "VFIO_USER_DEVICE_GET_REGION_INFO";
  problem.errorNumber = mappable(*connection, wanted.index, descriptors, base);
  if (problem.errorNumber != 0) return nullptr;
  const int descriptor = descriptors.take(0);
  std::vector<PartlyMapped::Area> mapped;
  for (size_t i = 0; i + 1 < areas.size(); i += 2) {
    const auto offset = static_cast<uint64_t>(areas[i]);
    const auto length = static_cast<uint64_t>(areas[i + 1]);
    auto mapping = Mapping::of(descriptor, base + offset, length, wanted.writable, problem);
    if (mapping == nullptr) break;
    mapped.push_back({offset, length, std::make_unique<Mapped>(std::move(mapping), wanted.rules, wanted.mmio)});
  }
  descriptors.add(descriptor);  // closed with the others: the mappings hold the file
  if (mapped.size() * 2 < areas.size()) return nullptr;
  if (mapped.size() == 1 && mapped[0].offset == 0 && mapped[0].length == wanted.size) {
    return std::move(mapped[0].mapped);
  }
  return std::make_unique<PartlyMapped>(std::move(mapped), std::move(rest));
}

// region(connection, index, size, writable, burst, posted, areas: Float64Array, ...rules, name) -> number | {call,
// errno}
Napi::Value region(const Napi::CallbackInfo& info) {
  const HeldConnection* held = connectionAt(info);
  // It is memory that is mapped, with the care that a device needs.
  const Mmio* mmio = flagAt(info, 4) ? kernels().burst : kernels().mapped;
  Wanted wanted{wordAt(info, 1), 0, flagAt(info, 3), flagAt(info, 5), mmio, rulesAt(info, 7)};
  if (held == nullptr) return refusal(info, "", ENODEV);
  if (!offsetAt(info, 2, wanted.size) || !wellFormed(wanted.rules) || mmio == nullptr) return refusal(info, "", EINVAL);
  const std::shared_ptr<Connection> connection = held->connection;
  const std::shared_ptr<Regions> regions = held->regions;
  const auto pairs = info[6].As<Napi::Float64Array>();
  const std::vector<double> areas(pairs.Data(), pairs.Data() + pairs.ElementLength());
  File::Problem problem;
  auto backend = backendOf(connection, wanted, areas, problem);
  if (backend == nullptr) return refusal(info, problem.call, problem.errorNumber);
  const bool all = areas.size() == 2 && areas[0] == 0 && areas[1] == static_cast<double>(wanted.size);
  std::string access = areas.empty() ? "" : mmio->name;
  if (!all) access += areas.empty() ? "messages" : ", messages";
  auto made = Region::create(
      {wanted.size, wanted.rules, Kind::device, wanted.writable, textAt(info, 7 + kRuleArguments), std::move(access)},
      std::move(backend));
  regions->add(made);
  if (connection->lost() != Connection::Lost::no) made->lose(Loss::device);
  return hold(info, std::move(made));
}

}  // namespace

void exportConnections(Napi::Env env, Napi::Object exports) {
  Napi::Object connections = Napi::Object::New(env);
  exportFunction<connect>(env, connections, "connect");
  exportFunction<call>(env, connections, "call");
  exportFunction<lost>(env, connections, "lost");
  exportFunction<close>(env, connections, "close");
  exportFunction<mapDma>(env, connections, "mapDma");
  exportFunction<unmapDma>(env, connections, "unmapDma");
  exportFunction<region>(env, connections, "region");
  exports.Set("connections", connections);
}

}  // namespace ismio::binding
