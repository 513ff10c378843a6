// Events as columns: appended here, read by a script's handler a batch at a time.
//
// The handler runs on the thread that appends, so a full batch is handed over on the spot and the same memory is
// filled again: no second buffer, no lock.
#pragma once

#include <napi.h>

#include <memory>

#include "event_facts.h"
#include "script_calls.h"

class Stream {
 public:
  // columns: {cpu: Uint32Array, pc, pgd, address, physical, data, number: BigUint64Array, size: Uint32Array,
  // state: Float64Array}, of capacity elements or, when not wanted, empty; state receives [records, dropped].
  static std::unique_ptr<Stream> From(const Napi::Value& columns, bool drop);
  ~Stream();

  // Returns false when the batch has to be handed over before the next event is appended.
  bool Append(const EventFacts& facts) {
    if (__builtin_expect(length_ == capacity_, 0)) {
      dropped_++;
      return true;
    }
    size_t at = length_++;
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
    return length_ < capacity_ || drop_;
  }

  uint64_t dropped() const { return dropped_; }
  bool needs_physical() const { return physical_ != nullptr; }

  // Makes what was appended visible to the handler, which is to be called next; false when there is nothing.
  bool Publish();
  // The handler has read the batch.
  void Clear() { length_ = 0; }

 private:
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
  Callable columns_;
};
