#include "support/pages.h"

#include <mutex>
#include <sys/mman.h>
#include <vector>

namespace ismio {
namespace {

struct Pages {
  void* base;
  size_t length;
};

struct Left {
  std::mutex mutex;
  std::vector<Pages> pages;
};

Left& left() {
  static auto& all = *new Left;  // outlives every thread that may still give something back at exit
  return all;
}

}  // namespace

void unmapPages(void* base, size_t length) {
  const bool returned = munmap(base, length) == 0;
  Left& all = left();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (!returned) all.pages.push_back({base, length});
  std::erase_if(all.pages, [](const Pages& pages) { return munmap(pages.base, pages.length) == 0; });
}

size_t pagesLeft() {
  Left& all = left();
  const std::lock_guard<std::mutex> lock(all.mutex);
  size_t bytes = 0;
  for (const Pages& pages : all.pages) bytes += pages.length;
  return bytes;
}

}  // namespace ismio
