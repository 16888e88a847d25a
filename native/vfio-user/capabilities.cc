#include "vfio-user/capabilities.h"

#include <charconv>

namespace ismio::vfio_user {
namespace {

// A text that nests deeper is no description of capabilities.
constexpr int kDeepest = 16;

// JSON as of RFC 8259, read once from the front. What a text says is looked at member by member; nothing is kept.
class Json {
 public:
  explicit Json(std::string_view text) : text_(text) {}

  bool atEnd() {
    space();
    return text_.empty();
  }

  // Calls `member` with each name; it has to take the value.
  template <class Member>
  bool object(Member member) {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      std::string_view name;
      if (!string(name) || !take(':') || !member(name)) return false;
    } while (take(','));
    return take('}');
  }

  bool skip(int depth = 0) {
    if (depth > kDeepest) return false;
    space();
    if (text_.empty()) return false;
    std::string_view passed;
    switch (text_.front()) {
      case '{': return object([&](std::string_view) { return skip(depth + 1); });
      case '[': return array(depth);
      case '"': return string(passed);
      case 't': return word("true");
      case 'f': return word("false");
      case 'n': return word("null");
      default: return number(passed);
    }
  }

  // A whole number that is not negative.
  bool whole(uint64_t& value) {
    std::string_view digits;
    if (!number(digits)) return false;
    const char* const end = digits.data() + digits.size();
    const auto [stopped, error] = std::from_chars(digits.data(), end, value);
    return error == std::errc() && stopped == end;
  }

  bool flag(bool& value) {
    space();
    value = text_.starts_with('t');
    return word(value ? "true" : "false");
  }

 private:
  void space() {
    const size_t first = text_.find_first_not_of(" \t\r\n");
    text_.remove_prefix(first == std::string_view::npos ? text_.size() : first);
  }

  bool take(char wanted) {
    space();
    if (!text_.starts_with(wanted)) return false;
    text_.remove_prefix(1);
    return true;
  }

  bool word(std::string_view wanted) {
    if (!text_.starts_with(wanted)) return false;
    text_.remove_prefix(wanted.size());
    return true;
  }

  bool array(int depth) {
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (!skip(depth + 1)) return false;
    } while (take(','));
    return take(']');
  }

  // As it is written: an escape stays one, so a name that is spelt with escapes is not known.
  bool string(std::string_view& content) {
    if (!take('"')) return false;
    size_t end = 0;
    while (end < text_.size() && text_[end] != '"') {
      if (static_cast<unsigned char>(text_[end]) < ' ') return false;
      end += text_[end] == '\\' ? 2 : 1;
    }
    if (end >= text_.size()) return false;
    content = text_.substr(0, end);
    text_.remove_prefix(end + 1);
    return true;
  }

  size_t digits(size_t from) const {
    size_t end = from;
    while (end < text_.size() && text_[end] >= '0' && text_[end] <= '9') end++;
    return end - from;
  }

  bool number(std::string_view& content) {
    space();
    size_t end = text_.starts_with('-') ? 1 : 0;
    const size_t before = digits(end);
    if (before == 0 || (before > 1 && text_[end] == '0')) return false;
    end += before;
    if (end < text_.size() && text_[end] == '.') {
      const size_t after = digits(end + 1);
      if (after == 0) return false;
      end += 1 + after;
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      end++;
      if (end < text_.size() && (text_[end] == '+' || text_[end] == '-')) end++;
      const size_t exponent = digits(end);
      if (exponent == 0) return false;
      end += exponent;
    }
    content = text_.substr(0, end);
    text_.remove_prefix(end);
    return true;
  }

  std::string_view text_;
};

bool capability(Json& json, std::string_view name, Capabilities& told) {
  if (name == "max_msg_fds") return json.whole(told.maxMessageFds);
  if (name == "max_data_xfer_size") return json.whole(told.maxTransfer) && told.maxTransfer > 0;
  if (name == "max_dma_maps") return json.whole(told.maxDmaMaps);
  if (name == "write_multiple") return json.flag(told.writeMultiple);
  return json.skip();
}

}  // namespace

bool readCapabilities(std::string_view text, Capabilities& told) {
  Json json(text);
  const auto member = [&](std::string_view name) {
    if (name != "capabilities") return json.skip();
    return json.object([&](std::string_view capabilityName) { return capability(json, capabilityName, told); });
  };
  return json.object(member) && json.atEnd();
}

std::string textOf(const Capabilities& told) {
  std::string text = "{\"capabilities\":{\"max_msg_fds\":" + std::to_string(told.maxMessageFds) +
                     ",\"max_data_xfer_size\":" + std::to_string(told.maxTransfer) +
                     ",\"max_dma_maps\":" + std::to_string(told.maxDmaMaps) + ",\"pgsizes\":4096,\"write_multiple\":";
  text += told.writeMultiple ? "true}}" : "false}}";
  text.push_back('\0');
  return text;
}

}  // namespace ismio::vfio_user
