// Events as columns: appended here, read by a script's handler a batch at a time.
//
// The handler runs on the thread that appends, so a full batch is handed over on the spot and the same memory is
// filled again: no second buffer, no lock.
#pragma once

#include <napi.h>

#include <memory>

#include "event_facts.h"
#include "qemu_glue.h"
#include "script_calls.h"

class Stream {
 public:
  // columns: {cpu: Uint32Array, pc, pgd, address, physical, data, number: BigUint64Array, size: Uint32Array,
  // state: Float64Array}, of capacity elements or, when not wanted, empty; state receives [records, dropped].
  static std::unique_ptr<Stream> From(const Napi::Value& columns, bool drop);
  ~Stream();

  // Appends an event. Returns false when the batch has to be handed over before the next one is appended.
  bool Append(const EventFacts& facts) {
    return Take([&](size_t at) {
      number_ += facts.icount ? facts.icount : 1;
      // A column that was not asked for has no memory, and always the same answer here.
      if (cpu_) cpu_[at] = facts.cpu_index;
      if (pc_) pc_[at] = facts.pc;
      if (pgd_) pgd_[at] = facts.pgd;
      if (address_) address_[at] = facts.address;
      if (physical_) physical_[at] = facts.physical;
      if (data_) data_[at] = facts.data;
      if (number_column_) number_column_[at] = number_;
      if (size_) size_[at] = facts.size;
    });
  }

  // The same for events of one kind, whose columns are known: the others are zero from the beginning.
  bool AppendBlock(int cpu_index, const rebox_block& block) {
    return Take([&](size_t at) {
      number_ += block.icount;
      AppendPlace(at, cpu_index, block.pc);
      if (address_) address_[at] = block.pc;
      if (size_) size_[at] = block.size;
    });
  }

  bool AppendInsn(int cpu_index) {
    return Take([&](size_t at) {
      uint64_t pc = *pcs_[cpu_index];
      number_++;
      AppendPlace(at, cpu_index, pc);
      if (address_) address_[at] = pc;
    });
  }

  bool AppendAccess(int cpu_index, const rebox_access& access) {
    return Take([&](size_t at) {
      number_++;
      AppendPlace(at, cpu_index, *pcs_[cpu_index]);
      if (address_) address_[at] = access.vaddr;
      if (data_) data_[at] = access.data[0];
      if (size_) size_[at] = access.size;
      if (physical_) physical_[at] = access.paddr;
    });
  }

  uint64_t dropped() const { return dropped_; }
  bool Knows(int cpu_index) const { return static_cast<uint32_t>(cpu_index) < cpu_count_; }
  bool needs_physical() const { return physical_ != nullptr; }

  // Makes what was appended visible to the handler, which is to be called next; false when there is nothing.
  bool Publish();
  // The handler has read the batch.
  void Clear() { length_ = 0; }

 private:
  // Has a record filled in at the next place, if there is one.
  template <typename Fill>
  bool Take(Fill fill) {
    if (__builtin_expect(length_ == capacity_, 0)) {
      dropped_++;
      return true;
    }
    fill(length_++);
    return length_ < capacity_ || drop_;
  }

  void AppendPlace(size_t at, int cpu_index, uint64_t pc) {
    if (cpu_) cpu_[at] = cpu_index;
    if (pc_) pc_[at] = pc;
    if (pgd_) pgd_[at] = pgds_[cpu_index];
    if (number_column_) number_column_[at] = number_;
  }

  size_t capacity_ = 0;
  size_t length_ = 0;
  bool drop_ = false;
  uint64_t dropped_ = 0;
  uint64_t number_ = 0;
  uint32_t* cpu_ = nullptr;
  uint32_t* size_ = nullptr;
  uint64_t *pc_ = nullptr, *pgd_ = nullptr, *address_ = nullptr, *physical_ = nullptr, *data_ = nullptr,
           *number_column_ = nullptr;
  double* state_ = nullptr;
  // By vCPU, in QEMU's own memory.
  const uint64_t* const* pcs_ = nullptr;
  const uint64_t* pgds_ = nullptr;
  uint32_t cpu_count_ = 0;
  Callable columns_;
};
