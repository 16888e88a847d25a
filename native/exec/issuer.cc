#include "exec/issuer.h"

#include "support/pause.h"

namespace ismio {
namespace {

// A long read asks between runs of this many words whether it may go on.
constexpr uint64_t kRun = 512;

void backOff(uint32_t tries) { pauseFor(1000.0 * (tries < 8 ? 1 << (tries - 1) : 128)); }

}  // namespace

template <class Access>
Status Issuer::attempt(Status allowed, uint64_t offset, uint64_t length, Failure& failure, Access&& access) {
  Status status = allowed;
  failure.tries = 0;
  while (status == Status::ok) {
    status = access();
    if (status == Status::ok) return status;
    failure.tries++;
    if (status != Status::busy || failure.tries == kBusyTries) break;
    counters_.retries.add(1);
    backOff(failure.tries);
    status = mayGoOn();
  }
  if (status != Status::aborted) counters_.errors.add(1);
  failure.status = status;
  failure.offset = offset;
  failure.length = length;
  return status;
}

Status Issuer::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  const Status status = attempt(mayGoOn(), offset, width, failure,
                                [&] { return backend_.load(offset, target, width, failure); });
  if (status == Status::ok) {
    counters_.loads.add(1);
    counters_.bytes.add(width);
  }
  return status;
}

Status Issuer::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  const Status status = attempt(mayStore(), offset, width, failure,
                                [&] { return backend_.store(offset, source, width, failure); });
  if (status == Status::ok) {
    counters_.stores.add(1);
    counters_.bytes.add(width);
  }
  return status;
}

Status Issuer::storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {
  done = 0;
  const Status status = attempt(mayStore(), words->offset, 8, failure, [&] {
    uint64_t part = 0;
    const Status answer = backend_.storeWords(words + done, count - done, part, failure);
    if (part > 0) failure.tries = 0;  // another word than the one that was busy before
    done += part;
    return answer;
  });
  counters_.stores.add(done);
  counters_.bytes.add(done * 8);
  if (status != Status::ok) failure.offset = words[done].offset;
  return status;
}

Status Issuer::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  const Status status = attempt(mayStore(), offset, length, failure,
                                [&] { return backend_.storeBlock(offset, source, length, failure); });
  if (status == Status::ok) {
    counters_.storeBlocks.add(1);
    counters_.bytes.add(length);
  }
  return status;
}

Status Issuer::write(uint64_t offset, const uint8_t* source, uint64_t length, Failure& failure) {
  const Rules& rules = region_.traits().rules;
  for (uint64_t done = 0; done < length;) {
    const Piece piece = next(rules, offset + done, length - done);
    const Status status = issue(piece, source + done, failure);
    if (status != Status::ok) {
      failure.done = done;
      return status;
    }
    done += piece.length;
    tell(done);
  }
  return Status::ok;
}

Status Issuer::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
  done = 0;
  const Status status = attempt(mayGoOn(), offset, 8, failure, [&] {
    uint64_t part = 0;
    const Status answer =
        backend_.loadWords(offset + done * 8, target + done * 8, words - done, part, failure);
    if (part > 0) failure.tries = 0;  // another word than the one that was busy before
    done += part;
    return answer;
  });
  counters_.loads.add(done);
  counters_.bytes.add(done * 8);
  if (status != Status::ok) failure.offset = offset + done * 8;
  return status;
}

// Loads from the lowest address up, each the widest that is aligned and still wanted, as ism-vfio-pci does.
Status Issuer::read(uint64_t offset, uint8_t* target, uint64_t length, Failure& failure) {
  for (uint64_t done = 0; done < length;) {
    const uint64_t left = length - done;
    const uint32_t width = accessWidth(offset + done, left);
    uint64_t moved = width;
    Status status;
    if (width == 8) {
      uint64_t words = 0;
      status = loadWords(offset + done, target + done, least(left / 8, kRun), words, failure);
      moved = words * 8;
    } else {
      status = load(offset + done, target + done, width, failure);
    }
    if (status != Status::ok) {
      failure.done = done + (width == 8 ? moved : 0);
      tell(failure.done);
      return status;
    }
    done += moved;
    tell(done);
  }
  return Status::ok;
}

}  // namespace ismio
