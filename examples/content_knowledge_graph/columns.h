// Columns of an Arrow stream, read by name: integers, and strings in any of Arrow's three layouts.
//
// Knows the C data interface, nothing of titles. Neighbours: arrow_c.h has the structs, similarity.cpp reads columns.

#pragma once

#include "arrow_c.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

// A stream of record batches; what it says in an error comes out as an exception.
class Stream {
public:
  explicit Stream(ArrowArrayStream *from) : stream_(from) { check(stream_.held.get_schema(&stream_.held, &schema_.held)); }

  // The next batch, or false after the last one.
  bool next(Owned<ArrowArray> &batch) {
    batch.reset();
    check(stream_.held.get_next(&stream_.held, &batch.held));
    return batch.held.release != nullptr;
  }

  // Where a column is, by its name.
  int64_t position(const char *name) const {
    for (int64_t at = 0; at < schema_.held.n_children; ++at)
      if (std::strcmp(schema_.held.children[at]->name, name) == 0)
        return at;
    throw std::invalid_argument(std::string("there is no column ") + name);
  }

  const char *format(int64_t position) const { return schema_.held.children[position]->format; }

private:
  void check(int code) {
    if (code == 0)
      return;
    const char *said = stream_.held.get_last_error(&stream_.held);
    throw std::runtime_error(said != nullptr ? said : std::strerror(code));
  }

  Owned<ArrowArrayStream> stream_;
  Owned<ArrowSchema> schema_;
};

// The values of an int32 column without nulls.
inline const int32_t *integers(const Stream &stream, const ArrowArray &batch, int64_t position) {
  const std::string format = stream.format(position);
  if (format != "i")
    throw std::invalid_argument("expected a column of int32 (Arrow format i), found format " + format);
  const ArrowArray &column = *batch.children[position];
  if (column.null_count > 0 || (column.null_count < 0 && column.buffers[0] != nullptr))
    throw std::invalid_argument("expected a column without nulls, found some");
  return static_cast<const int32_t *>(column.buffers[1]) + column.offset + batch.offset;
}

// The values of a column of strings: utf8, large_utf8 or string views; a null is an empty string.
class Strings {
public:
  Strings(const Stream &stream, const ArrowArray &batch, int64_t position)
      : column_(*batch.children[position]), offset_(column_.offset + batch.offset), format_(stream.format(position)) {
    if (format_ != "u" && format_ != "U" && format_ != "vu")
      throw std::invalid_argument("expected strings (Arrow format u, U or vu), found format " + format_);
  }

  std::string_view operator[](int64_t row) const {
    const int64_t at = row + offset_;
    const auto *valid = static_cast<const uint8_t *>(column_.buffers[0]);
    if (valid != nullptr && ((valid[at >> 3] >> (at & 7)) & 1) == 0)
      return {};
    if (format_ == "u")
      return between<int32_t>(at);
    return format_ == "U" ? between<int64_t>(at) : viewed(at);
  }

private:
  template <typename Offset> std::string_view between(int64_t at) const {
    const auto *offsets = static_cast<const Offset *>(column_.buffers[1]);
    const auto *bytes = static_cast<const char *>(column_.buffers[2]);
    return {bytes + offsets[at], static_cast<size_t>(offsets[at + 1] - offsets[at])};
  }

  // A view: its length, then up to 12 bytes; of longer ones 4 bytes, the buffer, and where in there.
  std::string_view viewed(int64_t at) const {
    const char *view = static_cast<const char *>(column_.buffers[1]) + 16 * at;
    int32_t length = 0;
    std::memcpy(&length, view, 4);
    if (length <= 12)
      return {view + 4, static_cast<size_t>(length)};
    int32_t where[2] = {0, 0};
    std::memcpy(where, view + 8, 8);
    return {static_cast<const char *>(column_.buffers[2 + where[0]]) + where[1], static_cast<size_t>(length)};
  }

  const ArrowArray &column_;
  int64_t offset_;
  std::string format_;
};
