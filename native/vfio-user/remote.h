// A region of a vfio-user device: every access is one message. Of a run of stores, many are on their way before the
// first is waited for; one that fails is told, and those behind it may have been made all the same.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "vfio-user/connection.h"

namespace ismio::vfio_user {

class Remote final : public Backend {
 public:
  // `posted`: no reply to a store is asked for, and none is known to have failed.
  Remote(std::shared_ptr<Connection> connection, uint32_t region, const Rules& rules, bool posted);

  bool mayRunScript(bool, uint64_t, uint64_t) const override { return connection_->serves(); }
  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) override;
  Status loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) override;
  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) override;
  Status storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) override;
  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) override;
  Status storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) override;
  Status storeSpan(const Block& first, uint64_t count, uint64_t& done, Failure& failure) override;
  void fence() override;

 private:
  int32_t get(uint64_t offset, uint8_t* target, uint64_t length, uint64_t& done);
  Status put(std::span<const Block> blocks, uint64_t& done, Failure& failure);
  Status refused(int32_t error, Failure& failure) const;

  const std::shared_ptr<Connection> connection_;
  const uint32_t region_;
  const Rules rules_;
  const bool posted_;
};

}  // namespace ismio::vfio_user
