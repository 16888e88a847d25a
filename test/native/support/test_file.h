// A file of its own for a test, on memory.
#pragma once

#include <doctest.h>

#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace ismio {

// A file in a folder of its own, gone with the test.
class TestFile {
 public:
  explicit TestFile(uint64_t size) {
    REQUIRE(mkdtemp(folder_) != nullptr);
    path_ = std::string(folder_) + "/file";
    const int made = open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE(made >= 0);
    close(made);
    resize(size);
  }
  ~TestFile() { remove(); }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  const std::string& path() const { return path_; }
  void remove() const {
    unlink(path_.c_str());
    rmdir(folder_);
  }
  void resize(uint64_t size) const { REQUIRE(truncate(path_.c_str(), static_cast<off_t>(size)) == 0); }

 private:
  char folder_[32] = "/dev/shm/ismio-XXXXXX";
  std::string path_;
};

}  // namespace ismio
