#include "set_remover.h"

#include <utility>

#include "dispatch.h"

SetRemover::SetRemover(std::shared_ptr<GuestSet> set, uint32_t pointer_size)
    : set_(std::move(set)), pointer_size_(pointer_size) {
  // The System V ABI for x86-64; on 32 bits the kernel is compiled with -mregparm=3 (arch/x86/Makefile).
  for (int i = 0; i < rebox_cpu_count(); i++) {
    arguments_.push_back(FindRegister(i, pointer_size == 8 ? "RDI" : "RAX"));
  }
}

void SetRemover::Remove(int cpu_index) const {
  if (static_cast<size_t>(cpu_index) >= arguments_.size() || !arguments_[cpu_index] || set_->is_empty()) {
    return;
  }
  uint64_t value = *arguments_[cpu_index];
  set_->Remove({pointer_size_ == 8 ? value : static_cast<uint32_t>(value), 0});
}

namespace {

// removeFromSetAt(listenerId, set, pointerSize): boolean, whether there are such a hook and such a set
Napi::Value RemoveAt(const Napi::CallbackInfo& info) {
  Listener* listener = subscriptions.Find(info[0].As<Napi::Number>().Uint32Value());
  auto set = FindGuestSet(info[1].As<Napi::Number>().Uint32Value());
  bool is_there = listener && listener->is_hooked && set;
  if (is_there) {
    listener->set_remover = std::make_unique<SetRemover>(std::move(set), info[2].As<Napi::Number>().Uint32Value());
  }
  return Napi::Boolean::New(info.Env(), is_there);
}

}  // namespace

Napi::Object InitSetRemover(Napi::Env env, Napi::Object exports) {
  exports.Set("removeFromSetAt", Napi::Function::New(env, RemoveAt));
  return exports;
}
