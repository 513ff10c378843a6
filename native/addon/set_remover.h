// Takes the first argument of a hooked function out of a set, in place of a call: the function ends what the set has.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "guest_set.h"

class SetRemover {
 public:
  // pointer_size: of the guest's kernel, in bytes.
  SetRemover(std::shared_ptr<GuestSet> set, uint32_t pointer_size);

  void Remove(int cpu_index) const;

 private:
  std::shared_ptr<GuestSet> set_;
  uint32_t pointer_size_;
  // By vCPU, in QEMU's own memory: the first argument.
  std::vector<const uint64_t*> arguments_;
};

Napi::Object InitSetRemover(Napi::Env env, Napi::Object exports);
