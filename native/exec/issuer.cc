#include "exec/issuer.h"

#include "support/pause.h"

namespace ismio {
namespace {

void at(Failure& failure, uint64_t offset, uint64_t length) {
  failure.offset = offset;
  failure.length = length;
}

void backOff(uint32_t tries) { pauseFor(1000.0 * (tries < 8 ? 1 << (tries - 1) : 128)); }

}  // namespace

// The ordinary way is one look at what might be in it, and the access. Everything else is apart: it costs nothing then.
// `failure.tries` is 0 before the first try of an access, and 0 again where it went through.
template <class Access>
Status Issuer::attempt(bool storing, uint64_t offset, uint64_t length, Failure& failure, Access access) {
  if (!region_.ordinary() || stopped() || (storing && !writable_)) [[unlikely]] {
    return timedIn(attachment_.clock(), Stage::device,
                   [=, this, &failure] { return tryIfAllowed(storing, offset, length, failure, access); });
  }
  const Status status = access();
  if (status == Status::ok) [[likely]]
    return status;
  return tryAgain(status, offset, length, failure, access);
}

template <class Access>
Status Issuer::tryIfAllowed(bool storing, uint64_t offset, uint64_t length, Failure& failure, Access access) {
  const Status allowed = storing ? mayStore() : mayGoOn();
  if (allowed != Status::ok) return failed(allowed, offset, length, failure);
  const Status status = access();
  return status == Status::ok ? status : tryAgain(status, offset, length, failure, access);
}

// After a try that answered `status`.
template <class Access>
[[gnu::noinline, gnu::cold]] Status Issuer::tryAgain(Status status, uint64_t offset, uint64_t length, Failure& failure,
                                                     Access access) {
  failure.tries++;
  while (status == Status::busy && failure.tries < kBusyTries) {
    counters_.retries.add(1);
    backOff(failure.tries);
    status = mayGoOn();
    if (status != Status::ok) break;
    status = access();
    if (status == Status::ok) {
      failure.tries = 0;
      return status;
    }
    failure.tries++;
  }
  return failed(status, offset, length, failure);
}

Status Issuer::failed(Status status, uint64_t offset, uint64_t length, Failure& failure) const {
  if (status != Status::aborted) counters_.errors.add(1);
  if (status == Status::regionLost) {
    region_.lose(failure.loss);
    failure.loss = region_.loss();
  }
  failure.status = status;
  at(failure, offset, length);
  return status;
}

// `run(from, count, part)` makes up to `count` accesses from the one numbered `from` on. In portions that the backend
// takes together; between two of them the work may be stopped.
template <class Run>
Status Issuer::attemptRun(bool storing, uint64_t count, uint64_t& done, Failure& failure, Run&& run) {
  const uint64_t together = storing ? backend_.together : backend_.loadsTogether;
  Status status = Status::ok;
  for (done = 0; done < count && status == Status::ok;) {
    const uint64_t portion = least(done + together, count);
    status = attempt(storing, 0, 0, failure, [&] {
      uint64_t part = 0;
      const Status answer = run(done, portion - done, part);
      if (part > 0) failure.tries = 0;  // another access than the one that was busy before
      done += part;
      return answer;
    });
  }
  return status;
}

Status Issuer::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  const Status status = attempt(false, offset, width, failure,
                                [=, this, &failure] { return backend_.load(offset, target, width, failure); });
  if (status == Status::ok) {
    counters_.loads.add(1);
    counters_.bytes.add(width);
  }
  return status;
}

Status Issuer::attemptStore(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  return attempt(true, offset, width, failure,
                 [=, this, &failure] { return backend_.store(offset, source, width, failure); });
}

Status Issuer::attemptBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  return attempt(true, offset, length, failure,
                 [=, this, &failure] { return backend_.storeBlock(offset, source, length, failure); });
}

Status Issuer::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  if (!singleStores_) [[unlikely]]
    return storeOtherwise(offset, source, width, failure);
  const Status status = attempt(false, offset, width, failure,
                                [=, this, &failure] { return backend_.store(offset, source, width, failure); });
  if (status == Status::ok) {
    counters_.stores.add(1);
    counters_.bytes.add(width);
  }
  return status;
}

[[gnu::noinline, gnu::cold]] Status Issuer::storeOtherwise(uint64_t offset, const uint8_t* source, uint32_t width,
                                                           Failure& failure) {
  if (!writable_) return failed(mayStore(), offset, width, failure);
  return possible(region_.traits().rules, offset, width) ? storeBlock(offset, source, width, failure)
                                                         : impossible(offset, width, failure);
}

// What no legal stores can carry. The errno is what the device's exception would be.
Status Issuer::impossible(uint64_t offset, uint64_t length, Failure& failure) const {
  const Status allowed = mayStore();
  if (allowed == Status::ok) {
    failure.rule = Rule::singleStores;
    failure.errorNumber = errorNumberOf(failure.rule);
  }
  return failed(allowed == Status::ok ? Status::ruleBroken : allowed, offset, length, failure);
}

Status Issuer::storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {
  if (!singleStores_) [[unlikely]] {
    Status status = Status::ok;
    for (done = 0; done < count && status == Status::ok; done += status == Status::ok) {
      status = storeOtherwise(words[done].offset, reinterpret_cast<const uint8_t*>(&words[done].bytes), 8, failure);
    }
    return status;
  }
  const Status status = attemptRun(true, count, done, failure, [&](uint64_t from, uint64_t left, uint64_t& part) {
    return backend_.storeWords(words + from, left, part, failure);
  });
  counters_.stores.add(done);
  counters_.bytes.add(done * 8);
  if (status != Status::ok) at(failure, words[done].offset, 8);
  return status;
}

Status Issuer::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  const Status status = attemptBlock(offset, source, length, failure);
  if (status == Status::ok) {
    counters_.storeBlocks.add(1);
    counters_.bytes.add(length);
    if (copiesOf(source) != 0) [[unlikely]]
      counters_.copies.add(1);
  }
  return status;
}

Status Issuer::storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) {
  const Status status = attemptRun(true, count, done, failure, [&](uint64_t from, uint64_t left, uint64_t& part) {
    return backend_.storeBlocks(blocks + from, left, part, failure);
  });
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < done; i++) bytes += blocks[i].length;
  if (bounces()) [[unlikely]] {
    for (uint64_t i = 0; i < done; i++) counters_.copies.add(copiesOf(blocks[i].source));
  }
  counters_.storeBlocks.add(done);
  counters_.bytes.add(bytes);
  if (status != Status::ok) at(failure, blocks[done].offset, blocks[done].length);
  return status;
}

Status Issuer::storeSpan(const Block& first, uint64_t count, uint64_t& done, Failure& failure) {
  const Status status = attemptRun(true, count, done, failure, [&](uint64_t from, uint64_t left, uint64_t& part) {
    const uint64_t at = from * first.length;
    return backend_.storeSpan({first.offset + at, first.source + at, first.length}, left, part, failure);
  });
  counters_.storeBlocks.add(done);
  counters_.bytes.add(done * first.length);
  if (bounces()) [[unlikely]]
    counters_.copies.add(done * copiesOf(first.source));
  if (status != Status::ok) at(failure, first.offset + done * first.length, first.length);
  return status;
}

Status Issuer::write(uint64_t offset, const uint8_t* source, uint64_t length, Failure& failure) {
  if (blocksOnly_) [[unlikely]]
    return writeInBlocks(offset, source, length, failure);
  if (spans_ && length >= 2 * uint64_t{region_.traits().rules.boundary})
    return writeInSpans(offset, source, length, failure);
  const auto planned = [=, this, &failure] { return planWrite<nextStore, false>(offset, source, length, failure); };
  return region_.ordinary() ? planned() : timedIn(attachment_.clock(), Stage::plan, planned);
}

// Apart, so that short writes have a way of their own.
[[gnu::noinline]] Status Issuer::writeInSpans(uint64_t offset, const uint8_t* source, uint64_t length,
                                              Failure& failure) {
  const auto planned = [=, this, &failure] { return planWrite<nextStore, true>(offset, source, length, failure); };
  return region_.ordinary() ? planned() : timedIn(attachment_.clock(), Stage::plan, planned);
}

Status Issuer::read(uint64_t offset, uint8_t* target, uint64_t length, Failure& failure) {
  const auto planned = [=, this, &failure] { return planRead(offset, target, length, failure); };
  return region_.ordinary() ? planned() : timedIn(attachment_.clock(), Stage::plan, planned);
}

[[gnu::noinline, gnu::cold]] Status Issuer::writeInBlocks(uint64_t offset, const uint8_t* source, uint64_t length,
                                                          Failure& failure) {
  if (!possible(region_.traits().rules, offset, length)) return impossible(offset, length, failure);
  return timedIn(attachment_.clock(), Stage::plan,
                 [=, this, &failure] { return planWrite<nextBlock, false>(offset, source, length, failure); });
}

// Of the blocks that a write was cut into.
template <auto cut>
[[gnu::noinline, gnu::cold]] void Issuer::countCopies(uint64_t offset, const uint8_t* source, uint64_t length) {
  for (uint64_t at = 0; at < length;) {
    const Piece piece = cut(region_.traits().rules, offset + at, length - at);
    if (piece.block) counters_.copies.add(copiesOf(source + at));
    at += piece.length;
  }
}

// Counts when all is done: to count each piece costs 4 % of a write in 128-byte blocks. With `spans`, blocks from one
// boundary to the next are made together.
template <auto cut, bool spans>
Status Issuer::planWrite(uint64_t offset, const uint8_t* source, uint64_t length, Failure& failure) {
  const Rules rules = region_.traits().rules;
  Status status = Status::ok;
  uint64_t done = 0;
  uint64_t blocks = 0;
  uint64_t stores = 0;
  uint64_t spanned = 0;
  while (done < length) {
    const Piece piece = cut(rules, offset + done, length - done);
    if constexpr (spans) {
      const uint64_t span =
          piece.length == rules.boundary ? spanOf(piece.length, length - done, backend_.blocksTogether) : 1;
      if (span > 1) {
        uint64_t part = 0;
        status = storeSpan({piece.offset, source + done, piece.length}, span, part, failure);
        done += part * piece.length;
        spanned += part * piece.length;
        tell(done);
        if (status != Status::ok) break;
        continue;
      }
    }
    status = piece.block ? attemptBlock(piece.offset, source + done, piece.length, failure)
                         : attemptStore(piece.offset, source + done, piece.length, failure);
    if (status != Status::ok) break;
    (piece.block ? blocks : stores)++;
    done += piece.length;
    tell(done);
  }
  if (status != Status::ok) failure.done = done;
  counters_.storeBlocks.add(blocks);
  counters_.stores.add(stores);
  if (bounces()) [[unlikely]]
    countCopies<cut>(offset, source, done);
  counters_.bytes.add(done - spanned);
  return status;
}

Status Issuer::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
  const Status status = attemptRun(false, words, done, failure, [&](uint64_t from, uint64_t left, uint64_t& part) {
    return backend_.loadWords(offset + from * 8, target + from * 8, left, part, failure);
  });
  counters_.loads.add(done);
  counters_.bytes.add(done * 8);
  if (status != Status::ok) at(failure, offset + done * 8, 8);
  return status;
}

// Loads from the lowest address up, each the widest that is aligned and still wanted, as ism-vfio-pci does.
Status Issuer::planRead(uint64_t offset, uint8_t* target, uint64_t length, Failure& failure) {
  for (uint64_t done = 0; done < length;) {
    const uint64_t left = length - done;
    const uint32_t width = accessWidth(offset + done, left);
    uint64_t moved = width;
    Status status;
    if (width == 8) {
      uint64_t words = 0;
      status = loadWords(offset + done, target + done, left / 8, words, failure);
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
