// What is asked of the guest's memory before a hook calls its script: whose task runs, which file an argument is.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "guest_set.h"

class GuestTest {
 public:
  // Reads a test as src/machine/callbacks/guest-condition.ts makes it.
  static GuestTest From(const Napi::Object& object);

  // Whether it holds for the event of a vCPU. What cannot be read is not in a set.
  bool Holds(int cpu_index) const;

  // Finds the first node that the test leads to.
  bool FindNode(int cpu_index, uint64_t* node) const;
  // Reads a number as the test does.
  bool ReadNumber(int cpu_index, uint64_t address, int32_t* number) const;

 private:
  struct Value {
    // From a node: all but the last lead to a pointer. The node itself when there is none.
    std::vector<uint64_t> offsets;
    // In bytes; kText: the hash of the text that a pointer leads to.
    uint32_t size = 0;
  };

  static constexpr uint32_t kText = 0;

  bool Matches(int cpu_index, uint64_t node) const;
  bool ReadValue(int cpu_index, uint64_t node, const Value& value, uint64_t* result) const;
  bool Read(int cpu_index, uint64_t address, void* to, size_t size) const;
  bool ReadBase(int cpu_index, uint64_t descriptor, uint64_t* base) const;
  bool ReadPointer(int cpu_index, uint64_t address, uint64_t* pointer) const;
  bool ReadText(int cpu_index, uint64_t address, uint64_t* hash) const;

  // By vCPU, in QEMU's own memory.
  std::vector<const uint64_t*> registers_;
  // Where a register is a table of segment descriptors: the segment that has the base, in bytes from there; 0
  // elsewhere.
  uint32_t segment_ = 0;
  // In bytes.
  uint32_t pointer_size_ = 8;
  // From the register: each leads to a pointer, the last one to the first node.
  std::vector<uint64_t> offsets_;
  // Of the pointer to the next node, and how many nodes are looked at.
  uint64_t next_ = 0;
  uint32_t most_ = 1;
  std::vector<Value> values_;
  // One of the two decides: a set that has the values, or bits of which the value has one.
  std::shared_ptr<GuestSet> set_;
  uint64_t bits_ = 0;
};

// Holds when one of its lists holds, of which each test has to.
class GuestCondition {
 public:
  // Reads a list of lists of tests.
  static std::unique_ptr<GuestCondition> From(const Napi::Value& value);

  bool Holds(int cpu_index) const;

 private:
  std::vector<std::vector<GuestTest>> any_;
};
