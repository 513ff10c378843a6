#include "byte_search.h"

#include <emmintrin.h>

#include <cstdint>
#include <cstring>

namespace {

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

Bytes ToBytes(const Napi::Value& value) {
  Bytes bytes;
  void* data = nullptr;
  napi_typedarray_type type;
  napi_get_typedarray_info(value.Env(), value, &type, &bytes.size, &data, nullptr, nullptr);
  bytes.data = static_cast<const uint8_t*>(data);
  return bytes;
}

// Roughly how common a byte is in memory: the higher, the more often it stands there for nothing.
int Commonness(uint8_t byte) {
  if (byte == 0) return 5;
  if (byte == 0xff) return 4;
  if (byte == ' ' || byte == 0x48 || (byte >= 'a' && byte <= 'z')) return 3;
  if (byte < 0x10 || (byte >= 0x20 && byte < 0x7f)) return 2;
  return 1;
}

// The two places in the pattern whose bytes are looked for first: rare ones, and different.
struct Anchors {
  size_t first = 0;
  size_t second = 0;
};

Anchors ChooseAnchors(const Bytes& pattern) {
  Anchors anchors;
  for (size_t at = 1; at < pattern.size; at++) {
    if (Commonness(pattern.data[at]) < Commonness(pattern.data[anchors.first])) anchors.first = at;
  }
  anchors.second = anchors.first;
  int lowest = 100;
  for (size_t at = 0; at < pattern.size; at++) {
    if (at == anchors.first) continue;
    int common = Commonness(pattern.data[at]) + (pattern.data[at] == pattern.data[anchors.first] ? 10 : 0);
    if (common < lowest) {
      lowest = common;
      anchors.second = at;
    }
  }
  return anchors;
}

// Returns the first place of the pattern, or -1. The memory may be written at the same time: a result was true at some
// moment.
int64_t Search(const Bytes& hay, const Bytes& pattern, size_t from) {
  if (pattern.size == 0 || hay.size < pattern.size || from > hay.size - pattern.size) return -1;
  const Anchors anchors = ChooseAnchors(pattern);
  const uint8_t* first = hay.data + anchors.first;
  const uint8_t* second = hay.data + anchors.second;
  const __m128i first_byte = _mm_set1_epi8(static_cast<char>(pattern.data[anchors.first]));
  const __m128i second_byte = _mm_set1_epi8(static_cast<char>(pattern.data[anchors.second]));
  const size_t last = hay.size - pattern.size;
  size_t at = from;
  // Both anchors lie within the pattern, so 16 places from the last but 15 on stay within the bytes.
  for (; at + 15 <= last; at += 16) {
    __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i*>(first + at));
    __m128i two = _mm_loadu_si128(reinterpret_cast<const __m128i*>(second + at));
    unsigned places = static_cast<unsigned>(
        _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(one, first_byte), _mm_cmpeq_epi8(two, second_byte))));
    for (; places != 0; places &= places - 1) {
      size_t place = at + static_cast<size_t>(__builtin_ctz(places));
      if (memcmp(hay.data + place, pattern.data, pattern.size) == 0) return static_cast<int64_t>(place);
    }
  }
  for (; at <= last; at++) {
    if (memcmp(hay.data + at, pattern.data, pattern.size) == 0) return static_cast<int64_t>(at);
  }
  return -1;
}

// findBytes(bytes, pattern, from): number, -1 when it is not there
Napi::Value FindBytes(const Napi::CallbackInfo& info) {
  int64_t from = info[2].As<Napi::Number>().Int64Value();
  int64_t place = from < 0 ? -1 : Search(ToBytes(info[0]), ToBytes(info[1]), static_cast<size_t>(from));
  return Napi::Number::New(info.Env(), static_cast<double>(place));
}

}  // namespace

Napi::Object InitByteSearch(Napi::Env env, Napi::Object exports) {
  exports.Set("findBytes", Napi::Function::New(env, FindBytes));
  return exports;
}
