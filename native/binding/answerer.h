// How the JavaScript of this thread answers for the devices that it defined.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "binding/views.h"
#include "device/desk.h"

namespace ismio::binding {

class Environment;

class ScriptAnswerer final : public device::Answerer {
 public:
  explicit ScriptAnswerer(Environment& environment) : environment_(environment) {}

  // Calls function(device, kind, region, offset, length, bytes) from now on. It answers 0, an errno, or -ticket for a
  // promise that `settle` ends. Bytes of up to 8 are in the word, in the order of their addresses.
  // `later` has the event loop serve the desk in a turn of its own.
  void answerBy(Napi::Function function, Napi::Uint8Array word, Napi::Function later);
  // `bytes`: what was loaded, where that is more than a word.
  void settle(uint64_t ticket, int32_t error, const uint8_t* bytes, size_t length);

  bool answer(const std::shared_ptr<device::Request>& request, int32_t& error, Later later) override;
  void wake() override;
  void wakeLater() override;
  // Nobody is asked any more.
  void end();

 private:
  struct Promised {
    std::shared_ptr<device::Request> request;
    Later later;
  };
  int64_t call(device::Request& request);
  int64_t unanswered() const;

  Environment& environment_;
  Napi::FunctionReference function_;
  Napi::FunctionReference later_;
  Napi::Reference<Napi::Uint8Array> wordHeld_;
  uint8_t* word_ = nullptr;
  std::unordered_map<uint64_t, Promised> promised_;
};

}  // namespace ismio::binding
