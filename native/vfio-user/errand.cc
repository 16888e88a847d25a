#include "vfio-user/errand.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ismio::vfio_user {
namespace {

using device::Handled;
using device::Request;

constexpr uint64_t kWidest = 8;

bool inWord(const Request& request) { return request.length <= kWidest && request.kind != Handled::storeBlock; }

// The widest access at `offset` that is aligned and no longer than `most`.
uint32_t widthAt(uint64_t offset, uint64_t most) {
  const uint64_t aligned = offset == 0 ? kWidest : std::min(kWidest, offset & (~offset + 1));
  return static_cast<uint32_t>(std::min(aligned, std::bit_floor(most)));
}

}  // namespace

bool Errand::run(const std::function<void()>& resume) {
  while (const std::shared_ptr<Request> request = next()) {
    int32_t error = 0;
    const auto later = [self = shared_from_this(), request, resume](int32_t with) {
      self->took(*request, with);
      if (self->run(resume)) resume();
    };
    if (!function_->desk->answer(request, error, resume == nullptr ? nullptr : device::Answerer::Later(later))) {
      return false;
    }
    took(*request, error);
  }
  return true;
}

// What is to be asked next; null when all is done.
std::shared_ptr<Request> Errand::next() {
  if (told) return nullptr;
  if (header.command == Command::deviceReset) {
    return std::exchange(reset_, true) ? nullptr : request({}, Handled::reset, 0);
  }
  for (; access_ < accesses_.size(); access_++, done_ = 0) {
    while (done_ < accesses_[access_].count) {
      if (madeHere(accesses_[access_])) continue;
      if (std::shared_ptr<Request> request = nextOf(accesses_[access_])) return request;
    }
  }
  return nullptr;
}

// Takes what of it needs no JavaScript. An access of which a part is refused ends there.
bool Errand::madeHere(const Access& access) {
  const Stretch stretch = stretchAt(*function_, access, done_);
  if (!here(stretch, access)) return false;
  if (const int32_t refused = decoding(*function_, access); refused != 0) {
    fail(refused);
    return true;
  }
  if (stretch.memory == nullptr) {
    uint8_t status = 0;
    const auto length = static_cast<uint32_t>(stretch.length);
    if (const int32_t refused = stretch.engine->store(access.offset + done_, access.source + done_, length, status)) {
      fail(refused);
      return true;
    }
  } else if (access.source != nullptr) {
    storeMemory(stretch.memory, access.source + done_, stretch.length);
  } else {
    read_.resize(read_.size() + stretch.length);
    loadMemory(read_.data() + done_, stretch.memory, stretch.length);
  }
  done_ += static_cast<uint32_t>(stretch.length);
  moved_ += stretch.length;
  return true;
}

std::shared_ptr<Request> Errand::nextOf(const Access& access) {
  const bool bar = access.region < device::kBars;
  const bool answers = !bar || function_->bars[access.region].answers;
  if (const int32_t refused = decoding(*function_, access); refused != 0) {
    fail(refused);
    return nullptr;
  }
  if (!answers) {
    refuse(EIO);
    return nullptr;
  }
  const bool write = access.source != nullptr;
  const uint64_t length = stretchAt(*function_, access, done_).length;
  const uint32_t width = widthAt(access.offset + done_, length);
  if (!bar) return request(access, write ? Handled::store : Handled::load, static_cast<uint32_t>(length));
  if (!write) return request(access, Handled::load, width);
  const bool word = width == length;
  return request(access, word ? Handled::store : Handled::storeBlock, static_cast<uint32_t>(length));
}

std::shared_ptr<Request> Errand::request(const Access& access, Handled kind, uint32_t length) const {
  auto asked = std::make_shared<Request>();
  asked->function = function_;
  asked->kind = kind;
  asked->region = access.region;
  asked->offset = access.offset + done_;
  asked->length = length;
  const uint8_t* source = access.source == nullptr ? nullptr : access.source + done_;
  const bool block = !inWord(*asked);
  if (block) asked->block.resize(length);
  if (source != nullptr) memcpy(block ? asked->block.data() : asked->word, source, length);
  return asked;
}

void Errand::took(const Request& request, int32_t error) {
  if (request.kind == Handled::reset) {
    error_ = error;
    return;
  }
  if (error != 0) {
    refuse(error);
    return;
  }
  if (request.kind == Handled::load) {
    const uint8_t* bytes = inWord(request) ? request.word : request.block.data();
    read_.insert(read_.end(), bytes, bytes + request.length);
  }
  done_ += request.length;
  moved_ += request.length;
}

// By the device: what does not decode memory never came to it.
void Errand::refuse(int32_t error) {
  if (error == EIO) function_->refused.store(true);
  if (refusal_ == nullptr) {
    const Access& access = accesses_[access_];
    refusal_ = std::make_shared<Request>();
    refusal_->function = function_;
    refusal_->kind = Handled::refused;
    refusal_->region = access.region;
    refusal_->offset = access.offset;
    refusal_->length = sizeof refusal_->word;
    const uint32_t told[] = {static_cast<uint32_t>(error), access.count};
    memcpy(refusal_->word, told, sizeof told);
  }
  fail(error);
}

std::shared_ptr<Request> Errand::refusal() const { return wanted ? nullptr : refusal_; }

// The rest of this access is left out; those behind it are accesses of their own.
void Errand::fail(int32_t error) {
  if (error_ == 0) error_ = error;
  done_ = accesses_[access_].count;
}

void Errand::reply(Reply& reply) const {
  if (header.command == Command::deviceReset) return;
  if (header.command == Command::regionWriteMulti) {
    putStruct(reply, static_cast<uint64_t>(accesses_.size()));
    return;
  }
  const Access& access = accesses_.front();
  putStruct(reply, RegionAccess{access.offset, access.region, access.count});
  if (access.source != nullptr) return;
  reply.payload.insert(reply.payload.end(), read_.begin(), read_.end());
  reply.payload.resize(sizeof(RegionAccess) + access.count);
}

}  // namespace ismio::vfio_user
