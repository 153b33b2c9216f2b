// Arrow's C data and stream interface: the three structs, as the specification lays them out, and their one owner.
//
// https://arrow.apache.org/docs/format/CDataInterface.html; no Arrow library is needed to speak it. Knows nothing of
// titles. Neighbour: similarity.cpp.

#pragma once

#include <cstdint>

extern "C" {

struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  ArrowSchema **children;
  ArrowSchema *dictionary;
  void (*release)(ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  ArrowArray **children;
  ArrowArray *dictionary;
  void (*release)(ArrowArray *);
  void *private_data;
};

struct ArrowArrayStream {
  int (*get_schema)(ArrowArrayStream *, ArrowSchema *out);
  int (*get_next)(ArrowArrayStream *, ArrowArray *out);
  const char *(*get_last_error)(ArrowArrayStream *);
  void (*release)(ArrowArrayStream *);
  void *private_data;
};
}

// Whoever holds one of the structs releases it, once.
template <typename Struct> struct Owned {
  Struct held{};

  Owned() = default;
  // Moves it out of where it was, as the specification says: a copy of the struct, and the old one marked released.
  explicit Owned(Struct *from) : held(*from) { from->release = nullptr; }
  Owned(const Owned &) = delete;
  Owned &operator=(const Owned &) = delete;
  ~Owned() { reset(); }

  void reset() {
    if (held.release != nullptr)
      held.release(&held);
    held.release = nullptr;
  }
};
