// The kernel's VFIO, as src/vfio sees it: each function of native/vfio/kernel.h, and the regions that are made of a
// device's file descriptor. A negative answer is -errno. Descriptors are numbers of the environment's table, so that
// they are closed with the thread that opened them; a number that is none there answers EBADF.
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "backend/vfio/vfio.h"
#include "binding/exports.h"
#include "binding/held_region.h"
#include "memory/memory.h"
#include "vfio/kernel.h"

namespace ismio::binding {
namespace {

Napi::Value tell(const Napi::CallbackInfo& info, vfio::Answer answer) {
  return Napi::Number::New(info.Env(), static_cast<double>(answer));
}

// An open file of VFIO.
struct HeldFile : Held {
  explicit HeldFile(int descriptor) : number(descriptor) {}
  ~HeldFile() override { close(); }
  // Once; then it answers EBADF.
  vfio::Answer close() {
    const int closing = std::exchange(number, -1);
    return closing < 0 ? -EBADF : vfio::close(closing);
  }
  int number;
};
struct HeldDevice final : HeldFile {
  static constexpr HandleKind kKind = HandleKind::device;
  using HeldFile::HeldFile;
};
struct HeldDescriptor final : HeldFile {
  static constexpr HandleKind kKind = HandleKind::descriptor;
  using HeldFile::HeldFile;
};

// -1, to which the kernel answers EBADF, where there is no such file.
int descriptorAt(const Napi::CallbackInfo& info, size_t index) {
  const Handles& handles = Environment::of(info.Env()).handles;
  const uint64_t number = handleAt(info, index);
  if (const auto* device = handles.find<HeldDevice>(number)) return device->number;
  const auto* descriptor = handles.find<HeldDescriptor>(number);
  return descriptor == nullptr ? -1 : descriptor->number;
}

// The number of a file that was opened, or why it was not.
template <class File>
Napi::Value keep(const Napi::CallbackInfo& info, vfio::Answer opened) {
  if (opened < 0) return tell(info, opened);
  auto file = std::make_unique<File>(static_cast<int>(opened));
  return tell(info, static_cast<vfio::Answer>(Environment::of(info.Env()).handles.add(std::move(file))));
}

template <vfio::Answer (*function)(int)>
Napi::Value onOne(const Napi::CallbackInfo& info) {
  return tell(info, function(descriptorAt(info, 0)));
}

template <vfio::Answer (*function)(int, uint32_t)>
Napi::Value withWord(const Napi::CallbackInfo& info) {
  return tell(info, function(descriptorAt(info, 0), wordAt(info, 1)));
}

template <vfio::Answer (*function)(int, int)>
Napi::Value onTwo(const Napi::CallbackInfo& info) {
  return tell(info, function(descriptorAt(info, 0), descriptorAt(info, 1)));
}

// open(path, device) -> descriptor; `device`: that of a device, which is closed before what it depends on
Napi::Value open(const Napi::CallbackInfo& info) {
  const vfio::Answer opened = vfio::open(textAt(info, 0).c_str());
  return flagAt(info, 1) ? keep<HeldDevice>(info, opened) : keep<HeldDescriptor>(info, opened);
}

// groupDevice(group, name) -> descriptor
Napi::Value groupDevice(const Napi::CallbackInfo& info) {
  return keep<HeldDevice>(info, vfio::groupDevice(descriptorAt(info, 0), textAt(info, 1).c_str()));
}

// close(descriptor)
Napi::Value close(const Napi::CallbackInfo& info) {
  Handles& handles = Environment::of(info.Env()).handles;
  const uint64_t number = handleAt(info, 0);
  if (const auto device = handles.take<HeldDevice>(number)) return tell(info, device->close());
  const auto descriptor = handles.take<HeldDescriptor>(number);
  return tell(info, descriptor == nullptr ? -EBADF : descriptor->close());
}

// pread(descriptor, offset: bigint, target) -> bytes
Napi::Value pread(const Napi::CallbackInfo& info) {
  const Bytes target = bytesAt(info, 2);
  return tell(info, vfio::pread(descriptorAt(info, 0), target.data, target.length, wideAt(info, 1)));
}

// pwrite(descriptor, offset: bigint, source) -> bytes
Napi::Value pwrite(const Napi::CallbackInfo& info) {
  const Bytes source = bytesAt(info, 2);
  return tell(info, vfio::pwrite(descriptorAt(info, 0), source.data, source.length, wideAt(info, 1)));
}

// deviceInfo(device, into) -> bytes that it would take
template <vfio::Answer (*function)(int, uint8_t*, size_t)>
Napi::Value infoOf(const Napi::CallbackInfo& info) {
  const Bytes into = bytesAt(info, 1);
  return tell(info, function(descriptorAt(info, 0), into.data, into.length));
}

// zpciError(device, into)
Napi::Value zpciError(const Napi::CallbackInfo& info) {
  return tell(info, vfio::zpciError(descriptorAt(info, 0), bytesAt(info, 1).data));
}

// regionInfo(device, index, into) -> bytes that it would take
template <vfio::Answer (*function)(int, uint32_t, uint8_t*, size_t)>
Napi::Value infoAt(const Napi::CallbackInfo& info) {
  const Bytes into = bytesAt(info, 2);
  return tell(info, function(descriptorAt(info, 0), wordAt(info, 1), into.data, into.length));
}

// setIrqs(device, flags, index, start, count, eventfds: Int32Array | null)
Napi::Value setIrqs(const Napi::CallbackInfo& info) {
  const uint32_t count = wordAt(info, 4);
  const int32_t* eventfds = nullptr;
  if (info[5].IsTypedArray()) {
    const auto given = info[5].As<Napi::Int32Array>();
    if (given.ElementLength() < count) return tell(info, -EINVAL);
    eventfds = given.Data();
  }
  return tell(info,
              vfio::setIrqs(descriptorAt(info, 0), wordAt(info, 1), wordAt(info, 2), wordAt(info, 3), count, eventfds));
}

// The part of an allocBuffer that is to be mapped for DMA: (memory id, position, length) from `first` on.
const uint8_t* memoryAt(const Napi::CallbackInfo& info, size_t first, uint64_t& length) {
  const std::shared_ptr<Memory> memory = Memory::find(static_cast<uint64_t>(numberAt(info, first)));
  uint64_t position = 0;
  if (memory == nullptr || !offsetAt(info, first + 1, position) || !offsetAt(info, first + 2, length)) return nullptr;
  if (position > memory->mapped() || length > memory->mapped() - position) return nullptr;
  return memory->base() + position;
}

// mapDma(container, iova: bigint, memory, position, length, flags)
Napi::Value mapDma(const Napi::CallbackInfo& info) {
  uint64_t length = 0;
  const uint8_t* address = memoryAt(info, 2, length);
  if (address == nullptr) return tell(info, -EFAULT);
  return tell(info, vfio::mapDma(descriptorAt(info, 0), wideAt(info, 1), address, length, wordAt(info, 5)));
}

// unmapDma(container, iova: bigint, length) -> bytes
Napi::Value unmapDma(const Napi::CallbackInfo& info) {
  uint64_t length = 0;
  if (!offsetAt(info, 2, length)) return tell(info, -EINVAL);
  return tell(info, vfio::unmapDma(descriptorAt(info, 0), wideAt(info, 1), length));
}

// mapIoas(iommufd, ioas, iova: bigint, memory, position, length, flags)
Napi::Value mapIoas(const Napi::CallbackInfo& info) {
  uint64_t length = 0;
  const uint8_t* address = memoryAt(info, 3, length);
  if (address == nullptr) return tell(info, -EFAULT);
  return tell(info,
              vfio::mapIoas(descriptorAt(info, 0), wordAt(info, 1), wideAt(info, 2), address, length, wordAt(info, 6)));
}

// unmapIoas(iommufd, ioas, iova: bigint, length) -> bytes
Napi::Value unmapIoas(const Napi::CallbackInfo& info) {
  uint64_t length = 0;
  if (!offsetAt(info, 3, length)) return tell(info, -EINVAL);
  return tell(info, vfio::unmapIoas(descriptorAt(info, 0), wordAt(info, 1), wideAt(info, 2), length));
}

// iovaRanges(iommufd, ioas, pairs: BigUint64Array) -> how many
Napi::Value iovaRanges(const Napi::CallbackInfo& info) {
  auto pairs = info[2].As<Napi::BigUint64Array>();
  const auto room = static_cast<uint32_t>(pairs.ElementLength() / 2);
  return tell(info, vfio::iovaRanges(descriptorAt(info, 0), wordAt(info, 1), pairs.Data(), room));
}

struct Wanted {
  int device;
  uint64_t base;
  uint64_t size;
  bool writable;
  const Mmio* mmio;
  Rules rules;
};

Napi::Value refusal(const Napi::CallbackInfo& info, const char* call, int errorNumber) {
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("call", call);
  told.Set("errno", errorNumber);
  return told;
}

std::unique_ptr<Mapped> mapArea(const Wanted& wanted, uint64_t offset, uint64_t length, File::Problem& problem) {
  auto mapping = Mapping::of(wanted.device, wanted.base + offset, length, wanted.writable, problem);
  return mapping == nullptr ? nullptr : std::make_unique<Mapped>(std::move(mapping), wanted.rules, wanted.mmio);
}

// The parts of a region that can be mapped, in ascending order: pairs of offset and length.
struct Areas {
  const double* pairs;
  size_t count;
  uint64_t offset(size_t i) const { return static_cast<uint64_t>(pairs[i * 2]); }
  uint64_t length(size_t i) const { return static_cast<uint64_t>(pairs[i * 2 + 1]); }
  bool all(uint64_t size) const { return count == 1 && offset(0) == 0 && length(0) == size; }
};

// One area over all of the region makes it a mapping; none, a descriptor.
std::unique_ptr<Backend> backendOf(const Wanted& wanted, const Areas& areas, File::Problem& problem) {
  if (areas.all(wanted.size)) return mapArea(wanted, 0, wanted.size, problem);
  std::vector<PartlyMapped::Area> mapped;
  for (size_t i = 0; i < areas.count; i++) {
    mapped.push_back({areas.offset(i), areas.length(i), mapArea(wanted, areas.offset(i), areas.length(i), problem)});
    if (mapped.back().mapped == nullptr) return nullptr;
  }
  auto descriptor = Descriptor::duplicate(wanted.device, problem.errorNumber);
  if (descriptor == nullptr) {
    problem.call = "dup";
    return nullptr;
  }
  auto rest = std::make_unique<Vfio>(std::move(descriptor), wanted.base, wanted.rules);
  if (mapped.empty()) return rest;
  return std::make_unique<PartlyMapped>(std::move(mapped), std::move(rest));
}

// region(device, base: bigint, size, writable, burst, areas: Float64Array, ...rules, name) -> number | {call, errno}
Napi::Value region(const Napi::CallbackInfo& info) {
  const bool burst = flagAt(info, 4);
  const Mmio* mmio = burst ? kernels().burst : kernels().resource;
  Wanted wanted{descriptorAt(info, 0), wideAt(info, 1), 0, flagAt(info, 3), mmio, rulesAt(info, 6)};
  if (!offsetAt(info, 2, wanted.size) || !wellFormed(wanted.rules) || mmio == nullptr) return refusal(info, "", EINVAL);
  const auto pairs = info[5].As<Napi::Float64Array>();
  const Areas areas{pairs.Data(), pairs.ElementLength() / 2};
  File::Problem problem;
  auto backend = backendOf(wanted, areas, problem);
  if (backend == nullptr) return refusal(info, problem.call, problem.errorNumber);
  std::string access = areas.count > 0 ? mmio->name : "";
  if (!areas.all(wanted.size)) access += areas.count > 0 ? ", pread and pwrite" : "pread and pwrite";
  RegionTraits traits{wanted.size,      wanted.rules, Kind::device, wanted.writable, textAt(info, 6 + kRuleArguments),
                      std::move(access)};
  return hold(info, Region::create(std::move(traits), std::move(backend)));
}

}  // namespace

void exportVfio(Napi::Env env, Napi::Object exports) {
  Napi::Object kernel = Napi::Object::New(env);
  kernel.Set("pageSize", static_cast<double>(sysconf(_SC_PAGESIZE)));
  exportFunction<open>(env, kernel, "open");
  exportFunction<close>(env, kernel, "close");
  exportFunction<pread>(env, kernel, "pread");
  exportFunction<pwrite>(env, kernel, "pwrite");
  exportFunction<onOne<vfio::apiVersion>>(env, kernel, "apiVersion");
  exportFunction<withWord<vfio::checkExtension>>(env, kernel, "checkExtension");
  exportFunction<withWord<vfio::setIommu>>(env, kernel, "setIommu");
  exportFunction<onOne<vfio::groupStatus>>(env, kernel, "groupStatus");
  exportFunction<onTwo<vfio::groupSetContainer>>(env, kernel, "groupSetContainer");
  exportFunction<groupDevice>(env, kernel, "groupDevice");
  exportFunction<infoOf<vfio::iommuInfo>>(env, kernel, "iommuInfo");
  exportFunction<mapDma>(env, kernel, "mapDma");
  exportFunction<unmapDma>(env, kernel, "unmapDma");
  exportFunction<infoOf<vfio::deviceInfo>>(env, kernel, "deviceInfo");
  exportFunction<infoAt<vfio::regionInfo>>(env, kernel, "regionInfo");
  exportFunction<infoAt<vfio::irqInfo>>(env, kernel, "irqInfo");
  exportFunction<setIrqs>(env, kernel, "setIrqs");
  exportFunction<onOne<vfio::resetDevice>>(env, kernel, "resetDevice");
  exportFunction<onOne<vfio::probeZpciError>>(env, kernel, "probeZpciError");
  exportFunction<zpciError>(env, kernel, "zpciError");
  exportFunction<onTwo<vfio::bindIommufd>>(env, kernel, "bindIommufd");
  exportFunction<withWord<vfio::attachIoas>>(env, kernel, "attachIoas");
  exportFunction<onOne<vfio::allocateIoas>>(env, kernel, "allocateIoas");
  exportFunction<iovaRanges>(env, kernel, "iovaRanges");
  exportFunction<mapIoas>(env, kernel, "mapIoas");
  exportFunction<unmapIoas>(env, kernel, "unmapIoas");
  exportFunction<region>(env, kernel, "region");
  exports.Set("vfio", kernel);
}

}  // namespace ismio::binding
