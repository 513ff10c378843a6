#include "filter.h"

#include <algorithm>

namespace {

constexpr int kPageBits = 12;

std::vector<uint64_t> ReadList(const Napi::Object& object, const char* name) {
  Napi::Value value = object.Get(name);
  if (!value.IsTypedArray()) {
    return {};
  }
  Napi::BigUint64Array array = value.As<Napi::BigUint64Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

// Pairs of first and one past the last.
std::vector<rebox_code_range> ReadRanges(const Napi::Object& object, const char* name) {
  std::vector<uint64_t> ends = ReadList(object, name);
  std::vector<rebox_code_range> ranges;
  for (size_t i = 0; i + 1 < ends.size(); i += 2) {
    ranges.push_back({ends[i], ends[i + 1]});
  }
  return ranges;
}

uint64_t ReadBigInt(const Napi::Object& object, const char* name, uint64_t otherwise) {
  Napi::Value value = object.Get(name);
  bool lossless;
  return value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : otherwise;
}

uint64_t ReadNumber(const Napi::Object& object, const char* name) {
  Napi::Value value = object.Get(name);
  return value.IsNumber() ? static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue()) : 0;
}

}  // namespace

std::unique_ptr<Filter> Filter::From(const Napi::Value& value) {
  if (!value.IsObject()) {
    return nullptr;
  }
  Napi::Object object = value.As<Napi::Object>();
  auto filter = std::make_unique<Filter>();
  filter->pc_ = ReadRanges(object, "pc");
  filter->address_ = ReadRanges(object, "address");
  filter->physical_ = ReadRanges(object, "physical");
  filter->sizes_ = ReadList(object, "size");
  filter->pgds_ = ReadList(object, "pgd");
  filter->comparison_ = static_cast<int>(ReadNumber(object, "comparison"));
  filter->value_ = ReadBigInt(object, "value", 0);
  filter->mask_ = ReadBigInt(object, "mask", UINT64_MAX);
  filter->mode_ = static_cast<rebox_mode>(ReadNumber(object, "mode"));
  filter->first_per_page_ = ReadNumber(object, "firstPerPage") != 0;
  filter->every_ = ReadNumber(object, "every");
  filter->hits_ = ReadNumber(object, "hits");
  filter->is_simple_ = filter->sizes_.empty() && filter->pgds_.empty() && filter->comparison_ == kNone &&
                       !filter->first_per_page_ && !filter->every_ && !filter->hits_;
  return filter;
}

bool Filter::AcceptsRest(const EventFacts& facts) {
  if (!sizes_.empty() && std::find(sizes_.begin(), sizes_.end(), facts.size) == sizes_.end()) {
    return false;
  }
  auto stands_for = [&](uint64_t pgd) { return pgd == facts.pgd || rebox_normal_pgd(pgd) == facts.pgd; };
  if (!pgds_.empty() && std::none_of(pgds_.begin(), pgds_.end(), stands_for)) {
    return false;
  }
  uint64_t data = facts.data & mask_;
  switch (comparison_) {
    case kEqual:
      if (data != value_) return false;
      break;
    case kNotEqual:
      if (data == value_) return false;
      break;
    case kBelow:
      if (data >= value_) return false;
      break;
    case kAbove:
      if (data <= value_) return false;
      break;
    default:
      break;
  }
  if (first_per_page_ && !pages_.insert(facts.address >> kPageBits).second) {
    return false;
  }
  if (every_ && ++seen_ % every_ != 0) {
    return false;
  }
  return !hits_ || passed_++ < hits_;
}
