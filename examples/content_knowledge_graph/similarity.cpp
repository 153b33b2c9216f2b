// Similarity of titles and authors, a pair after the other: columns come in and go out through Arrow's C data interface.
//
// `similarity_catalogue` reads a stream (title, authors) once and keeps of each row what a comparison needs; rows are
// known by their position. `similarity_score` reads a stream of pairs (left_id, right_id) and gives the pairs whose
// titles share enough trigrams, in order, with
//   title         Jaccard index of the titles' sets of trigrams, at least the floor
//   authors       share of the last names (their first four letters) that both have, of the shorter list
//   jaro_winkler  of the titles
// Most pairs are told apart by 512 bits a title, which bound the index from above; no pair at the floor is lost by that.
// Lengths and offsets are 64 bits throughout, and memory is that of the catalogues, a batch, and the result. One thread:
// whoever has cores runs more tasks. Knows nothing of tables, Python, or what a match is. Neighbours: columns.h reads
// columns, kernel.py calls this.

#include "columns.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <vector>

namespace {

constexpr int64_t PREFETCH_PAIRS = 8;
constexpr size_t SIGNATURE_WORDS = 8;

// One bit a trigram, of 512: a bit that only one of two titles has is a trigram that only that one has.
using Signature = std::array<uint64_t, SIGNATURE_WORDS>;

bool is_word(unsigned char byte) {
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

// Lower case (of ASCII), everything that is no word one space, none at the ends.
std::string normalised(std::string_view text) {
  std::string made;
  made.reserve(text.size());
  for (const unsigned char byte : text) {
    if (is_word(byte))
      made.push_back(static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte));
    else if (!made.empty() && made.back() != ' ')
      made.push_back(' ');
  }
  if (!made.empty() && made.back() == ' ')
    made.pop_back();
  return made;
}

// Up to four bytes as one number, so that they compare at once.
uint32_t packed(std::string_view bytes) {
  uint32_t made = 0;
  for (const unsigned char byte : bytes.substr(0, 4))
    made = made << 8 | byte;
  return made;
}

// Lists of values of many rows, one after another in memory.
template <typename Value> struct Lists {
  std::vector<Value> values;
  std::vector<int64_t> begins{0};

  void end_row() { begins.push_back(static_cast<int64_t>(values.size())); }
  const Value *begin(int64_t row) const { return values.data() + begins[row]; }
  int64_t size(int64_t row) const { return begins[row + 1] - begins[row]; }

  // What the row has so far becomes a set, in order.
  void make_set() {
    const auto first = values.begin() + begins.back();
    std::sort(first, values.end());
    values.erase(std::unique(first, values.end()), values.end());
  }
};

// How many values two sorted sets share. Without branches that depend on the values: nothing predicts them.
int64_t shared(const uint32_t *left, int64_t lefts, const uint32_t *right, int64_t rights) {
  int64_t i = 0;
  int64_t j = 0;
  int64_t count = 0;
  while (i < lefts && j < rights) {
    const uint32_t a = left[i];
    const uint32_t b = right[j];
    count += a == b;
    i += a <= b;
    j += b <= a;
  }
  return count;
}

int64_t bits_without(const Signature &some, const Signature &others) {
  int64_t count = 0;
  for (size_t at = 0; at < SIGNATURE_WORDS; ++at)
    count += __builtin_popcountll(some[at] & ~others[at]);
  return count;
}

Signature signature(const uint32_t *trigrams, int64_t count) {
  Signature made{};
  for (int64_t at = 0; at < count; ++at) {
    const uint32_t bit = trigrams[at] * 2654435761U >> 23; // Knuth's multiplicative hash, its upper nine bits
    made[bit >> 6] |= uint64_t{1} << (bit & 63);
  }
  return made;
}

} // namespace

// What comparisons need of every row of a catalogue.
struct Catalogue {
  Lists<uint32_t> trigrams;
  Lists<uint32_t> names;
  Lists<char> titles;
  std::vector<Signature> signatures;

  int64_t rows() const { return static_cast<int64_t>(titles.begins.size()) - 1; }

  void add(std::string_view title, std::string_view authors) {
    const std::string text = normalised(title);
    titles.values.insert(titles.values.end(), text.begin(), text.end());
    titles.end_row();
    const std::string padded = text.empty() ? "" : "  " + text + " "; // what has no title is like nothing
    for (size_t at = 0; at + 3 <= padded.size(); ++at)
      trigrams.values.push_back(packed(std::string_view(padded).substr(at, 3)));
    trigrams.make_set();
    trigrams.end_row();
    signatures.push_back(signature(trigrams.begin(rows() - 1), trigrams.size(rows() - 1)));
    add_names(authors);
  }

private:
  void add_names(std::string_view authors) {
    while (!authors.empty()) {
      const size_t comma = std::min(authors.find(','), authors.size());
      const std::string name = normalised(authors.substr(0, comma));
      const size_t space = name.rfind(' ');
      if (!name.empty())
        names.values.push_back(packed(std::string_view(name).substr(space == std::string::npos ? 0 : space + 1)));
      authors.remove_prefix(std::min(comma + 1, authors.size()));
    }
    names.make_set();
    names.end_row();
  }
};

namespace {

float index_of(int64_t both, int64_t lefts, int64_t rights) {
  const int64_t any = lefts + rights - both;
  return any == 0 ? 0.0F : static_cast<float>(both) / static_cast<float>(any);
}

// The Jaccard index is this at most.
float bound(const Catalogue &left, int64_t l, const Catalogue &right, int64_t r) {
  const Signature &a = left.signatures[l];
  const Signature &b = right.signatures[r];
  const int64_t lefts = left.trigrams.size(l);
  const int64_t rights = right.trigrams.size(r);
  return index_of(std::min(lefts - bits_without(a, b), rights - bits_without(b, a)), lefts, rights);
}

float jaccard(const Catalogue &left, int64_t l, const Catalogue &right, int64_t r) {
  const int64_t lefts = left.trigrams.size(l);
  const int64_t rights = right.trigrams.size(r);
  return index_of(shared(left.trigrams.begin(l), lefts, right.trigrams.begin(r), rights), lefts, rights);
}

float overlap(const Catalogue &left, int64_t l, const Catalogue &right, int64_t r) {
  const int64_t lefts = left.names.size(l);
  const int64_t rights = right.names.size(r);
  const int64_t fewer = std::min(lefts, rights);
  if (fewer == 0)
    return 0.0F;
  return static_cast<float>(shared(left.names.begin(l), lefts, right.names.begin(r), rights)) / static_cast<float>(fewer);
}

// Jaro's similarity (transpositions in whole pairs, as Winkler's program counts them) with Winkler's bonus for a
// common beginning of up to four bytes.
float jaro_winkler(std::string_view left, std::string_view right) {
  thread_local std::vector<char> taken;
  thread_local std::vector<char> matched;
  if (left.empty() || right.empty())
    return 0.0F;
  const size_t window = std::max(std::max(left.size(), right.size()) / 2, size_t{1}) - 1;
  taken.assign(right.size(), 0);
  matched.clear();
  for (size_t i = 0; i < left.size(); ++i) {
    const size_t last = std::min(i + window + 1, right.size());
    for (size_t j = i > window ? i - window : 0; j < last; ++j) {
      if (taken[j] == 0 && left[i] == right[j]) {
        taken[j] = 1;
        matched.push_back(left[i]);
        break;
      }
    }
  }
  if (matched.empty())
    return 0.0F;
  size_t out_of_order = 0;
  size_t k = 0;
  for (size_t j = 0; j < right.size(); ++j)
    if (taken[j] != 0)
      out_of_order += matched[k++] != right[j];
  const auto matches = static_cast<double>(matched.size());
  const double jaro = (matches / static_cast<double>(left.size()) + matches / static_cast<double>(right.size()) +
                       (matches - static_cast<double>(out_of_order / 2)) / matches) / 3;
  size_t prefix = 0;
  while (prefix < 4 && prefix < left.size() && prefix < right.size() && left[prefix] == right[prefix])
    ++prefix;
  return static_cast<float>(jaro + static_cast<double>(prefix) * 0.1 * (1 - jaro));
}

// The result's columns as they grow, and then as an Arrow struct array that owns them.
struct Scores {
  static constexpr int COLUMNS = 5;
  static constexpr std::array<const char *, COLUMNS> NAMES{"left_id", "right_id", "title", "authors", "jaro_winkler"};
  static constexpr std::array<const char *, COLUMNS> FORMATS{"i", "i", "f", "f", "f"};

  std::vector<int32_t> lefts;
  std::vector<int32_t> rights;
  std::array<std::vector<float>, 3> values;
  std::array<std::array<const void *, 2>, COLUMNS> buffers{};
  std::array<ArrowArray, COLUMNS> arrays{};
  std::array<ArrowArray *, COLUMNS> children{};
  const void *no_validity = nullptr;

  int64_t rows() const { return static_cast<int64_t>(lefts.size()); }

  void add(const Catalogue &left, int32_t l, const Catalogue &right, int32_t r, float floor) {
    if (bound(left, l, right, r) < floor)
      return;
    const float title = jaccard(left, l, right, r);
    if (title < floor)
      return;
    lefts.push_back(l);
    rights.push_back(r);
    values[0].push_back(title);
    values[1].push_back(overlap(left, l, right, r));
    values[2].push_back(jaro_winkler({left.titles.begin(l), static_cast<size_t>(left.titles.size(l))},
                                     {right.titles.begin(r), static_cast<size_t>(right.titles.size(r))}));
  }

  // Where the columns are, once nothing is added any more.
  void settle() {
    const std::array<const void *, COLUMNS> data{lefts.data(), rights.data(), values[0].data(), values[1].data(), values[2].data()};
    for (int at = 0; at < COLUMNS; ++at)
      buffers[at] = {nullptr, data[at]};
  }
};

// The struct array holds the Scores; a child that a consumer moved out is a struct of its own and has nothing to free,
// since the specification keeps a moved child's parent alive only through the child: so each child holds a share.
using Share = std::shared_ptr<Scores>;

void release_array(ArrowArray *array) {
  for (int64_t at = 0; at < array->n_children; ++at)
    if (array->children[at]->release != nullptr)
      array->children[at]->release(array->children[at]);
  delete static_cast<Share *>(array->private_data);
  array->release = nullptr;
}

void give(const Share &scores, ArrowArray *out) {
  const int64_t rows = scores->rows();
  scores->settle();
  for (int at = 0; at < Scores::COLUMNS; ++at) {
    scores->arrays[at] = {rows, 0, 0, 2, 0, scores->buffers[at].data(), nullptr, nullptr, release_array, new Share(scores)};
    scores->children[at] = &scores->arrays[at];
  }
  *out = {rows, 0, 0, 1, Scores::COLUMNS, &scores->no_validity, scores->children.data(), nullptr, release_array,
          new Share(scores)};
}

struct Schemas {
  std::array<ArrowSchema, Scores::COLUMNS> fields{};
  std::array<ArrowSchema *, Scores::COLUMNS> children{};
};

void release_field(ArrowSchema *field) { field->release = nullptr; } // names and formats are constants

void release_schema(ArrowSchema *schema) {
  for (int64_t at = 0; at < schema->n_children; ++at)
    if (schema->children[at]->release != nullptr)
      schema->children[at]->release(schema->children[at]);
  delete static_cast<Schemas *>(schema->private_data);
  schema->release = nullptr;
}

void give_schema(ArrowSchema *out) {
  auto *schemas = new Schemas;
  for (int at = 0; at < Scores::COLUMNS; ++at) {
    schemas->fields[at] = {Scores::FORMATS[at], Scores::NAMES[at], nullptr, 0, 0, nullptr, nullptr, release_field, nullptr};
    schemas->children[at] = &schemas->fields[at];
  }
  *out = {"+s", "", nullptr, 0, Scores::COLUMNS, schemas->children.data(), nullptr, release_schema, schemas};
}

void check(int32_t id, const Catalogue &catalogue, const char *side, int64_t row) {
  if (id < 0 || id >= catalogue.rows())
    throw std::out_of_range("pair " + std::to_string(row) + ": " + side + " is " + std::to_string(id) + ", but the catalogue has " +
                            std::to_string(catalogue.rows()) + " rows");
}

// An exception's text, until this thread's next error; null where nothing was thrown.
template <typename Work> const char *guarded(Work work) {
  thread_local std::string said;
  try {
    work();
    return nullptr;
  } catch (const std::exception &error) {
    said = error.what();
  } catch (...) {
    said = "unknown error";
  }
  return said.c_str();
}

} // namespace

#define EXPORTED __attribute__((visibility("default")))

// Each returns null, or what went wrong. A stream that is passed is taken, whatever comes of it.
extern "C" {

EXPORTED const char *similarity_catalogue(ArrowArrayStream *records, Catalogue **out) {
  return guarded([&] {
    Stream stream(records);
    const int64_t title = stream.position("title");
    const int64_t authors = stream.position("authors");
    auto made = std::make_unique<Catalogue>();
    Owned<ArrowArray> batch;
    while (stream.next(batch)) {
      const Strings titles(stream, batch.held, title);
      const Strings names(stream, batch.held, authors);
      for (int64_t row = 0; row < batch.held.length; ++row)
        made->add(titles[row], names[row]);
    }
    *out = made.release();
  });
}

EXPORTED void similarity_catalogue_free(Catalogue *catalogue) { delete catalogue; }

EXPORTED const char *similarity_score(const Catalogue *left, const Catalogue *right, ArrowArrayStream *pairs, float floor,
                                      ArrowSchema *schema, ArrowArray *out, int64_t *compared) {
  return guarded([&] {
    Stream stream(pairs);
    *compared = 0;
    const int64_t left_id = stream.position("left_id");
    const int64_t right_id = stream.position("right_id");
    const auto scores = std::make_shared<Scores>();
    Owned<ArrowArray> batch;
    while (stream.next(batch)) {
      const int32_t *l = integers(stream, batch.held, left_id);
      const int32_t *r = integers(stream, batch.held, right_id);
      const int64_t rows = batch.held.length;
      for (int64_t row = 0; row < rows; ++row) {
        check(l[row], *left, "left_id", row);
        check(r[row], *right, "right_id", row);
      }
      for (int64_t row = 0; row < rows; ++row) {
        if (row + PREFETCH_PAIRS < rows)
          __builtin_prefetch(&right->signatures[r[row + PREFETCH_PAIRS]]);
        scores->add(*left, l[row], *right, r[row], floor);
      }
      *compared += rows;
    }
    give_schema(schema);
    give(scores, out);
  });
}

EXPORTED void similarity_release(ArrowSchema *schema, ArrowArray *array) {
  if (schema->release != nullptr)
    schema->release(schema);
  if (array->release != nullptr)
    array->release(array);
}
}
