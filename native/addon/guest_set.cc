#include "guest_set.h"

#include <unordered_map>

#include "uint64_value.h"

namespace {

std::unordered_map<uint32_t, std::shared_ptr<GuestSet>> sets;

std::shared_ptr<GuestSet> Get(const Napi::CallbackInfo& info) {
  return FindGuestSet(info[0].As<Napi::Number>().Uint32Value());
}

GuestSet::Key KeyOf(const Napi::CallbackInfo& info) { return {ToUint64(info[1]), ToUint64(info[2])}; }

// createGuestSet(): number
Napi::Value Create(const Napi::CallbackInfo& info) {
  static uint32_t last_id = 0;
  sets[++last_id] = std::make_shared<GuestSet>();
  return Napi::Number::New(info.Env(), last_id);
}

// addToGuestSet(id, first, second)
Napi::Value Add(const Napi::CallbackInfo& info) {
  if (auto set = Get(info)) {
    set->Add(KeyOf(info));
  }
  return info.Env().Undefined();
}

// removeFromGuestSet(id, first, second): boolean, whether it was there
Napi::Value Remove(const Napi::CallbackInfo& info) {
  auto set = Get(info);
  return Napi::Boolean::New(info.Env(), set && set->Remove(KeyOf(info)));
}

// hasInGuestSet(id, first, second): boolean
Napi::Value Has(const Napi::CallbackInfo& info) {
  auto set = Get(info);
  return Napi::Boolean::New(info.Env(), set && set->Has(KeyOf(info)));
}

// countGuestSet(id): number
Napi::Value Count(const Napi::CallbackInfo& info) {
  auto set = Get(info);
  return Napi::Number::New(info.Env(), set ? static_cast<double>(set->size()) : 0);
}

// clearGuestSet(id)
Napi::Value Clear(const Napi::CallbackInfo& info) {
  if (auto set = Get(info)) {
    set->Clear();
  }
  return info.Env().Undefined();
}

// removeGuestSet(id)
Napi::Value RemoveSet(const Napi::CallbackInfo& info) {
  Clear(info);
  sets.erase(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

}  // namespace

std::shared_ptr<GuestSet> FindGuestSet(uint32_t id) {
  auto found = sets.find(id);
  return found == sets.end() ? nullptr : found->second;
}

Napi::Object InitGuestSets(Napi::Env env, Napi::Object exports) {
  exports.Set("createGuestSet", Napi::Function::New(env, Create));
  exports.Set("addToGuestSet", Napi::Function::New(env, Add));
  exports.Set("removeFromGuestSet", Napi::Function::New(env, Remove));
  exports.Set("hasInGuestSet", Napi::Function::New(env, Has));
  exports.Set("countGuestSet", Napi::Function::New(env, Count));
  exports.Set("clearGuestSet", Napi::Function::New(env, Clear));
  exports.Set("removeGuestSet", Napi::Function::New(env, RemoveSet));
  return exports;
}
