// Sets of numbers that TypeScript keeps and filters ask: the tasks of an analysis, the inodes of files.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <unordered_set>
#include <utility>

class GuestSet {
 public:
  // Two numbers; the second is zero where one is enough.
  using Key = std::pair<uint64_t, uint64_t>;

  bool Has(const Key& key) const { return keys_.count(key) != 0; }
  bool is_empty() const { return keys_.empty(); }
  size_t size() const { return keys_.size(); }

  void Add(const Key& key) { keys_.insert(key); }
  bool Remove(const Key& key) { return keys_.erase(key) != 0; }
  void Clear() { keys_.clear(); }

 private:
  struct Hash {
    // The finishing steps of SplitMix64: addresses of structures have their low bits alike.
    size_t operator()(const Key& key) const {
      uint64_t mixed = key.first + key.second * 0x9e3779b97f4a7c15;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      return mixed ^ (mixed >> 31);
    }
  };

  std::unordered_set<Key, Hash> keys_;
};

// nullptr when TypeScript has given it up. Who holds it may use it for longer.
std::shared_ptr<GuestSet> FindGuestSet(uint32_t id);

Napi::Object InitGuestSets(Napi::Env env, Napi::Object exports);
