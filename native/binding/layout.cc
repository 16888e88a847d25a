// The table that is compared with src/addon/wire.ts when the addon is loaded: where things are, and by their names what
// the numbers stand for.
#include <cstddef>
#include <iterator>
#include <string>

#include "backend/file/file.h"
#include "binding/exports.h"
#include "device/desk.h"
#include "device/function.h"
#include "exec/issuer.h"
#include "ism/fabric.h"
#include "vfio-user/common.h"
#include "vfio-user/connection.h"
#include "wire/wire.h"

namespace ismio::binding {
namespace {

using device::Handled;
using vfio_user::Happening;
using Lost = vfio_user::Connection::Lost;

struct Named {
  const char* name;
  double value;
};

template <class Enum>
constexpr double number(Enum value) {
  return static_cast<double>(value);
}

constexpr Named kNames[] = {
    {"status ok", number(Status::ok)},
    {"status outOfRange", number(Status::outOfRange)},
    {"status misaligned", number(Status::misaligned)},
    {"status ruleBroken", number(Status::ruleBroken)},
    {"status readOnly", number(Status::readOnly)},
    {"status closed", number(Status::closed)},
    {"status aborted", number(Status::aborted)},
    {"status deviceError", number(Status::deviceError)},
    {"status busy", number(Status::busy)},
    {"status invalidHandle", number(Status::invalidHandle)},
    {"status regionLost", number(Status::regionLost)},
    {"status systemError", number(Status::systemError)},
    {"status badEntry", number(Status::badEntry)},
    {"status noMemory", number(Status::noMemory)},
    {"status unanswered", number(Status::unanswered)},
    {"status deadlock", number(Status::deadlock)},
    {"rule none", number(Rule::none)},
    {"rule length", number(Rule::length)},
    {"rule maxStoreBlock", number(Rule::maxStoreBlock)},
    {"rule boundary", number(Rule::boundary)},
    {"rule offsetAlignment", number(Rule::offsetAlignment)},
    {"rule lengthAlignment", number(Rule::lengthAlignment)},
    {"rule singleStores", number(Rule::singleStores)},
    {"loss unknown", number(Loss::unknown)},
    {"loss truncated", number(Loss::truncated)},
    {"loss noSpace", number(Loss::noSpace)},
    {"loss device", number(Loss::device)},
    {"loss ioError", number(Loss::ioError)},
    {"loss memoryError", number(Loss::memoryError)},
    {"fence full", number(Fence::full)},
    {"fence beforeDoorbell", number(Fence::beforeDoorbell)},
    {"fence afterStatus", number(Fence::afterStatus)},
    {"stage enqueue", number(Stage::enqueue)},
    {"stage merge", number(Stage::merge)},
    {"stage plan", number(Stage::plan)},
    {"stage copy", number(Stage::copy)},
    {"stage device", number(Stage::device)},
    {"stage completion", number(Stage::completion)},
    {"state done", number(wire::State::done)},
    {"state partial", number(wire::State::partial)},
    {"state failed", number(wire::State::failed)},
    {"state skipped", number(wire::State::skipped)},
    {"opcode store", number(wire::Opcode::store)},
    {"opcode write", number(wire::Opcode::write)},
    {"opcode load", number(wire::Opcode::load)},
    {"opcode fence", number(wire::Opcode::fence)},
    {"opcode series", number(wire::Opcode::series)},
    {"refusal none", number(File::Refusal::none)},
    {"refusal systemError", number(File::Refusal::systemError)},
    {"refusal empty", number(File::Refusal::empty)},
    {"refusal tooShort", number(File::Refusal::tooShort)},
    {"refusal notRegular", number(File::Refusal::notRegular)},
    {"refusal noWriteCall", number(File::Refusal::noWriteCall)},
    {"handled load", number(Handled::load)},
    {"handled store", number(Handled::store)},
    {"handled storeBlock", number(Handled::storeBlock)},
    {"handled reset", number(Handled::reset)},
    {"handled arrived", number(Handled::arrived)},
    {"handled gone", number(Handled::gone)},
    {"handled refused", number(Handled::refused)},
    {"happening client", number(Happening::client)},
    {"happening gone", number(Happening::gone)},
    {"happening refused", number(Happening::refused)},
    {"happening trouble", number(Happening::trouble)},
    {"lost no", number(Lost::no)},
    {"lost closed", number(Lost::closed)},
    {"lost hungUp", number(Lost::hungUp)},
    {"lost silent", number(Lost::silent)},
    {"lost broken", number(Lost::broken)},
    {"move none", number(ism::Refusal::none)},
    {"move address", number(ism::Refusal::address)},
    {"move unknown", number(ism::Refusal::unknown)},
    {"move sender", number(ism::Refusal::sender)},
    {"move bounds", number(ism::Refusal::bounds)},
    {"move page", number(ism::Refusal::page)},
    {"move memory", number(ism::Refusal::memory)},
    {"move failed", number(ism::Refusal::failed)},
    {"move dead", number(ism::Refusal::dead)},
    {"mischief delay", number(ism::Mischief::delay)},
    {"mischief coalesce", number(ism::Mischief::coalesce)},
    {"mischief reorder", number(ism::Mischief::reorder)},
    {"mischief fail", number(ism::Mischief::fail)},
    {"mischief kill", number(ism::Mischief::kill)},
    {"mischief busy", number(ism::Mischief::busy)},
    {"field status", number(wire::kStatus)},
    {"field conditionCode", number(wire::kConditionCode)},
    {"field deviceStatus", number(wire::kDeviceStatus)},
    {"field rule", number(wire::kRule)},
    {"field errno", number(wire::kErrno)},
    {"field tries", number(wire::kTries)},
    {"field offset", number(wire::kOffset)},
    {"field length", number(wire::kLength)},
    {"field done", number(wire::kDone)},
    {"field unknownLoads", number(wire::kUnknownLoads)},
    {"field index", number(wire::kIndex)},
    {"field unfinished", number(wire::kUnfinished)},
    {"field operations", number(wire::kOperations)},
    {"field loads", number(wire::kLoads)},
    {"field stores", number(wire::kStores)},
    {"field storeBlocks", number(wire::kStoreBlocks)},
    {"field bytes", number(wire::kBytes)},
    {"field merged", number(wire::kMerged)},
    {"field retries", number(wire::kRetries)},
    {"field errors", number(wire::kErrors)},
    {"field copies", number(wire::kCopies)},
    {"field began", number(wire::kBegan)},
    {"field ended", number(wire::kEnded)},
    {"field loss", number(wire::kLoss)},
    {"request region", number(wire::kRegion)},
    {"request place", number(wire::kPlace)},
    {"request bytes", number(wire::kBytesMoved)},
};

}  // namespace

Napi::Object layoutOf(Napi::Env env) {
  using wire::Entry;
  Napi::Object table = Napi::Object::New(env);
  table.Set("version", static_cast<double>(wire::kVersion));
  table.Set("headerBytes", static_cast<double>(sizeof(wire::Header)));
  table.Set("headerCopied", static_cast<double>(offsetof(wire::Header, copied)));
  table.Set("headerTimed", static_cast<double>(offsetof(wire::Header, timed)));
  table.Set("headerObserved", static_cast<double>(offsetof(wire::Header, observed)));
  table.Set("entryBytes", static_cast<double>(sizeof(Entry)));
  table.Set("entryOffset", static_cast<double>(offsetof(Entry, offset)));
  table.Set("entryLow", static_cast<double>(offsetof(Entry, value.low)));
  table.Set("entryHigh", static_cast<double>(offsetof(Entry, value.high)));
  table.Set("entryPosition", static_cast<double>(offsetof(Entry, position)));
  table.Set("entryOpcode", static_cast<double>(offsetof(Entry, opcode)));
  table.Set("entrySource", static_cast<double>(offsetof(Entry, source)));
  table.Set("entryLength", static_cast<double>(offsetof(Entry, length)));
  table.Set("entryStep", static_cast<double>(offsetof(Entry, step)));
  table.Set("entryCount", static_cast<double>(offsetof(Entry, count)));
  table.Set("entryWord", static_cast<double>(offsetof(Entry, word)));
  table.Set("outcomeBytes", static_cast<double>(sizeof(wire::Outcome)));
  table.Set("outcomeOffset", static_cast<double>(offsetof(wire::Outcome, offset)));
  table.Set("outcomeLength", static_cast<double>(offsetof(wire::Outcome, length)));
  table.Set("outcomeDone", static_cast<double>(offsetof(wire::Outcome, done)));
  table.Set("outcomeOpcode", static_cast<double>(offsetof(wire::Outcome, opcode)));
  table.Set("outcomeState", static_cast<double>(offsetof(wire::Outcome, state)));
  table.Set("largestDepth", static_cast<double>(wire::kLargestDepth));
  table.Set("largestBoundary", static_cast<double>(kLargestBoundary));
  table.Set("largestStoreBlock", static_cast<double>(kLargestStoreBlock));
  table.Set("answerMilliseconds", static_cast<double>(device::kAnswerWithin.count()));
  table.Set("busyTries", static_cast<double>(kBusyTries));
  for (const Named& one : kNames) table.Set(one.name, one.value);
  for (size_t i = 0; i < std::size(vfio_user::kCounted); i++) {
    table.Set(std::string("count ") + vfio_user::kCounted[i].name, static_cast<double>(i));
  }
  return table;
}

}  // namespace ismio::binding
