// Writes down which system calls are made, with their arguments and what these point to, without a call into JavaScript
// for each: TypeScript takes many at a time, and is called at once for those that it has to look at before the kernel
// does.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "guest_test.h"

// The records of several entries for system calls, in their order.
class CallJournal {
 public:
  // A record, little-endian: size 4, entry 2, passed 2, number 4, process 4, time 8 (double, ms, CLOCK_MONOTONIC), pgd
  // 8, arguments 6 x 8, then for each argument whose kind is not kValue its pieces: count 1 (255: it could not be
  // read), then for each piece size 1, form 1, bytes.
  std::vector<uint8_t> records;

  // Whether the value of a call was looked at, in an address space, and what it stands for has not changed since.
  bool IsSettled(uint64_t pgd, uint64_t value) const;
  // Of the low 32 bits: such values are descriptors, and the kernel ignores the others.
  void Settle(uint64_t pgd, uint64_t value) { settled_[pgd].insert(static_cast<uint32_t>(value)); }
  void Unsettle(uint64_t pgd) { settled_.erase(pgd); }

 private:
  std::unordered_map<uint64_t, std::unordered_set<uint32_t>> settled_;
};

// One entry for system calls. Its listener's function is called for what Note() passes.
class CallEntry {
 public:
  // Reads what src/guest/scope/call-journal.ts makes.
  static std::unique_ptr<CallEntry> From(const Napi::Object& object, std::shared_ptr<CallJournal> journal);

  // Writes the call of a vCPU down. True when TypeScript is to be called: for this call, whose record is the last then,
  // or because there is much to be taken.
  bool Note(int cpu_index);

 private:
  enum Kind { kValue, kText, kBytes, kTexts };
  enum Form : uint8_t { kWhole, kCut, kAddress, kMore };
  // Bits of what is wanted of a number's calls.
  enum Wish : uint8_t { kPieces = 1, kPass = 2, kUnsettles = 4 };

  // A call is passed when its argument is so.
  struct Test {
    uint32_t argument;
    uint64_t mask, value;
    // In place of mask and value: the argument has not been settled.
    bool is_unsettled;
  };

  static constexpr size_t kArguments = 6;

  struct Registers {
    const uint64_t* number;
    std::vector<const uint64_t*> arguments;
    // Of the address of the last argument; nullptr when it is in a register.
    const uint64_t* last_at;
  };

  struct Call {
    int cpu_index;
    uint64_t pgd;
    uint64_t values[kArguments];
  };

  template <typename Value>
  void Put(Value value);
  void PutPiece(const uint8_t* bytes, size_t size, Form form);
  bool PutText(const Call& call, uint64_t address);
  void PutOneText(const Call& call, uint64_t address);
  void PutBytes(const Call& call, uint64_t address, uint64_t size);
  void PutTexts(const Call& call, uint64_t address);
  void PutPieces(const Call& call, uint32_t kinds);
  bool Read(const Call& call, uint64_t address, void* to, size_t size) const;
  int32_t FindProcess(int cpu_index) const;
  bool IsPassed(const Call& call, uint32_t number, uint8_t wish) const;
  uint64_t Width(uint64_t value) const { return bits_ == 64 ? value : static_cast<uint32_t>(value); }

  std::shared_ptr<CallJournal> journal_;
  uint16_t entry_ = 0;
  // Of the arguments.
  uint32_t bits_ = 64;
  // By vCPU, in QEMU's own memory.
  std::vector<Registers> registers_;
  // Leads to the running task.
  GuestTest task_;
  // In task_struct.
  uint32_t tgid_ = 0;
  // By number: 2 bits for each argument.
  std::vector<uint16_t> kinds_;
  std::vector<uint8_t> wishes_;
  // Of numbers beyond.
  uint8_t other_wish_ = 0;
  // By number: 0, or one more than the index of a test.
  std::vector<uint8_t> test_of_;
  std::vector<Test> tests_;
};

Napi::Object InitCallJournals(Napi::Env env, Napi::Object exports);
