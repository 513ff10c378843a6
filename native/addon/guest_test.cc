#include "guest_test.h"

#include <algorithm>
#include <string>

#include "qemu_glue.h"
#include "script_objects.h"
#include "uint64_value.h"

namespace {

// In bytes; longer text has the hash of its beginning.
constexpr size_t kLongestText = 256;
constexpr uint64_t kPage = 4096;

// FNV-1a of 64 bits, as src/machine/callbacks/guest-set.ts has it.
constexpr uint64_t kHashStart = 0xcbf29ce484222325;
constexpr uint64_t kHashFactor = 0x100000001b3;

std::vector<uint64_t> ReadOffsets(const Napi::Value& value) {
  if (!value.IsTypedArray()) {
    return {};
  }
  auto array = value.As<Napi::BigUint64Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

uint32_t ToNumber(const Napi::Value& value, uint32_t otherwise) {
  return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : otherwise;
}

// Of a 32-bit kernel that isolates page tables: a process' own ones lack most of the kernel, and have this bit set
// (PTI_PGTABLE_SWITCH_BIT of arch/x86/include/asm/pgtable.h). The other half of the pair has it.
constexpr uint64_t kIsolated32 = 0x1000;

}  // namespace

GuestTest GuestTest::From(const Napi::Object& object) {
  GuestTest test;
  std::string name = object.Get("register").As<Napi::String>();
  for (int i = 0; i < rebox_cpu_count(); i++) {
    test.registers_.push_back(FindRegister(i, name.c_str()));
  }
  test.segment_ = ToNumber(object.Get("segment"), 0);
  test.pointer_size_ = ToNumber(object.Get("pointerSize"), 8);
  test.offsets_ = ReadOffsets(object.Get("offsets"));
  test.next_ = ToUint64(object.Get("next"));
  test.most_ = ToNumber(object.Get("most"), 1);
  auto values = object.Get("values").As<Napi::Array>();
  for (uint32_t i = 0; i < values.Length(); i++) {
    auto value = values.Get(i).As<Napi::Object>();
    test.values_.push_back({ReadOffsets(value.Get("offsets")), ToNumber(value.Get("size"), kText)});
  }
  test.bits_ = ToUint64(object.Get("bits"));
  if (object.Get("set").IsNumber()) {
    test.set_ = FindGuestSet(ToNumber(object.Get("set"), 0));
  }
  return test;
}

bool GuestTest::Holds(int cpu_index) const {
  // Most sets are empty most of the time.
  if ((!set_ && !bits_) || (set_ && set_->is_empty())) {
    return false;
  }
  uint64_t node = 0;
  if (!FindNode(cpu_index, &node)) {
    return false;
  }
  for (uint32_t left = most_; node && left; left--) {
    if (Matches(cpu_index, node)) {
      return true;
    }
    if (left > 1 && !ReadPointer(cpu_index, node + next_, &node)) {
      return false;
    }
  }
  return false;
}

bool GuestTest::FindNode(int cpu_index, uint64_t* node) const {
  if (cpu_index < 0 || static_cast<size_t>(cpu_index) >= registers_.size() || !registers_[cpu_index]) {
    return false;
  }
  *node = *registers_[cpu_index];
  if (pointer_size_ == 4) {
    *node = static_cast<uint32_t>(*node);
  }
  if (segment_ && !ReadBase(cpu_index, *node + segment_, node)) {
    return false;
  }
  return std::all_of(offsets_.begin(), offsets_.end(),
                     [&](uint64_t offset) { return ReadPointer(cpu_index, *node + offset, node); });
}

bool GuestTest::ReadNumber(int cpu_index, uint64_t address, int32_t* number) const {
  return Read(cpu_index, pointer_size_ == 4 ? static_cast<uint32_t>(address) : address, number, sizeof(*number));
}

bool GuestTest::Read(int cpu_index, uint64_t address, void* to, size_t size) const {
  uint64_t fault = 0, pgd = script_objects.pgds[cpu_index];
  auto read = [&](uint64_t from) {
    return rebox_read_virtual(cpu_index, from, address, to, size, &fault) == REBOX_MEMORY_OK;
  };
  return read(pgd) || (pointer_size_ == 4 && (pgd & kIsolated32) && read(pgd & ~kIsolated32));
}

// Intel SDM volume 3, figure 3-8.
bool GuestTest::ReadBase(int cpu_index, uint64_t descriptor, uint64_t* base) const {
  uint64_t bits = 0;
  if (!Read(cpu_index, static_cast<uint32_t>(descriptor), &bits, sizeof(bits))) {
    return false;
  }
  *base = ((bits >> 16) & 0xffffff) | ((bits >> 56) << 24);
  return true;
}

bool GuestTest::Matches(int cpu_index, uint64_t node) const {
  uint64_t found[2] = {node, 0};
  for (size_t i = 0; i < values_.size() && i < 2; i++) {
    if (!ReadValue(cpu_index, node, values_[i], &found[i])) {
      return false;
    }
  }
  return set_ ? set_->Has({found[0], found[1]}) : (found[0] & bits_) != 0;
}

bool GuestTest::ReadValue(int cpu_index, uint64_t node, const Value& value, uint64_t* result) const {
  for (size_t i = 0; i + 1 < value.offsets.size(); i++) {
    if (!ReadPointer(cpu_index, node + value.offsets[i], &node) || !node) {
      return false;
    }
  }
  *result = 0;
  if (value.offsets.empty()) {
    *result = node;
    return true;
  }
  uint64_t address = node + value.offsets.back();
  if (value.size != kText) {
    return Read(cpu_index, address, result, std::min<size_t>(value.size, sizeof(*result)));
  }
  return ReadPointer(cpu_index, address, &address) && ReadText(cpu_index, address, result);
}

bool GuestTest::ReadPointer(int cpu_index, uint64_t address, uint64_t* pointer) const {
  uint64_t read = 0;
  if (pointer_size_ == 4) {
    address = static_cast<uint32_t>(address);
  }
  if (!Read(cpu_index, address, &read, pointer_size_)) {
    return false;
  }
  *pointer = read;
  return true;
}

bool GuestTest::ReadText(int cpu_index, uint64_t address, uint64_t* hash) const {
  *hash = kHashStart;
  for (size_t left = kLongestText; left;) {
    char bytes[kLongestText];
    size_t part = std::min<size_t>(left, kPage - address % kPage);
    if (!Read(cpu_index, address, bytes, part)) {
      return false;
    }
    for (size_t i = 0; i < part; i++) {
      if (!bytes[i]) {
        return true;
      }
      *hash = (*hash ^ static_cast<uint8_t>(bytes[i])) * kHashFactor;
    }
    left -= part;
    address += part;
  }
  return true;
}

std::unique_ptr<GuestCondition> GuestCondition::From(const Napi::Value& value) {
  auto condition = std::make_unique<GuestCondition>();
  auto lists = value.As<Napi::Array>();
  for (uint32_t i = 0; i < lists.Length(); i++) {
    auto tests = lists.Get(i).As<Napi::Array>();
    std::vector<GuestTest> all;
    for (uint32_t j = 0; j < tests.Length(); j++) {
      all.push_back(GuestTest::From(tests.Get(j).As<Napi::Object>()));
    }
    condition->any_.push_back(std::move(all));
  }
  return condition;
}

bool GuestCondition::Holds(int cpu_index) const {
  auto holds = [&](const GuestTest& test) { return test.Holds(cpu_index); };
  return std::any_of(any_.begin(), any_.end(),
                     [&](const auto& all) { return std::all_of(all.begin(), all.end(), holds); });
}
